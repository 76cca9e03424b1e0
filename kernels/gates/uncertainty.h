// The uncertainties of the backbone's prediction that a gate may ask for. A new one is an enumerator, its
// line in kUncertainties and its case in with_uncertainty() and uncertainty_of(), all of them here: config,
// CLI, checks and tests enumerate the list.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "kernels/exec/loops.h"
#include "kernels/exec/math.h"

namespace sllmr {

/// Of p = sigmoid(logit), in [0, 1]; the order is that of kUncertainties.
enum class Uncertainty : int { confidence, entropy, mc_dropout };

struct UncertaintyInfo {
  Uncertainty kind;
  std::string_view name;     // as config and CLI spell it
  std::string_view summary;  // one line
  /// Not of the logit, but of more passes with dropout (models/mc_dropout.h), for which the backbone must
  /// have some.
  bool needs_passes = false;
};
inline constexpr UncertaintyInfo kUncertainties[] = {
    {Uncertainty::confidence, "confidence", "2 (1 - max(p, 1 - p))"},
    {Uncertainty::entropy, "entropy", "the binary entropy of p in bits"},
    {Uncertainty::mc_dropout, "mc_dropout", "4 times the variance of p over gate.mc_passes dropout masks",
     true},
};

constexpr const UncertaintyInfo& info_of(Uncertainty kind) {
  return kUncertainties[static_cast<int>(kind)];
}

/// What the logit alone tells. NaN for a kind that needs passes: nobody shall take another number for it.
template <Uncertainty kind>
SLLMR_INLINE float uncertainty_of(float logit) {
  if constexpr (kind == Uncertainty::mc_dropout) {
    return NAN;
  } else {
    const float magnitude = std::fabs(logit);
    const float small = exp_of(-magnitude);        // (1 - p) / p of the likelier answer
    const float p_small = small / (1.0F + small);  // the unlikelier answer's probability
    if constexpr (kind == Uncertainty::confidence) {
      return 2.0F * p_small;
    } else {
      static_assert(kind == Uncertainty::entropy);
      constexpr float kBits = 1.4426950408889634F;  // 1 / ln 2
      // H = -p log p - (1-p) log(1-p), written with log1p so that it stays exact for large logits.
      return kBits * (std::log1p(small) + p_small * magnitude);
    }
  }
}

/// Calls function(std::integral_constant<Uncertainty, kind>()).
template <class Function>
SLLMR_INLINE void with_uncertainty(Uncertainty kind, const Function& function) {
  switch (kind) {
    case Uncertainty::confidence:
      return function(std::integral_constant<Uncertainty, Uncertainty::confidence>());
    case Uncertainty::entropy:
      return function(std::integral_constant<Uncertainty, Uncertainty::entropy>());
    case Uncertainty::mc_dropout:
      return function(std::integral_constant<Uncertainty, Uncertainty::mc_dropout>());
  }
}
SLLMR_INLINE float uncertainty_of(float logit, Uncertainty kind) {
  float value = 0;
  with_uncertainty(kind, [&](auto constant) { value = uncertainty_of<constant.value>(logit); });
  return value;
}
/// Of a row of a batch: what its passes gave, `of_passes` [rows], or, where that is null, what its logit
/// tells.
SLLMR_INLINE float uncertainty_of(const float* of_passes, std::int64_t row, float logit, Uncertainty kind) {
  return of_passes == nullptr ? uncertainty_of(logit, kind) : of_passes[row];
}

}  // namespace sllmr
