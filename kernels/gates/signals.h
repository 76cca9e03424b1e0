// What a gate may look at, and how it gets its parameters.
#pragma once

#include <cstdint>

#include "kernels/exec/types.h"
#include "kernels/gates/dual.h"

namespace sllmr {

/// Signals of one (user, item) inside an LLM pair. A rule uses those it names.
struct GateSignals {
  float cold;            // 1 if the user has a short training history, else 0
  float tail;            // 1 if the item is in the unpopular tail, else 0
  float uncertainty;     // of the backbone's prediction, in [0, 1]; a constant for the gradient
  float log_history;     // log(1 + training interactions of the user), 1 at the data set's maximum
  float log_popularity;  // log(1 + training interactions of the item), 1 at the data set's maximum
  float score_gap;       // difference of the pair's two LLM scores, in [0, 1]
  float score_entropy;   // entropy of the user's LLM scores, in [0, 1]: 1 when all candidates score the same
  float draw;            // uniform in [0, 1), fixed for (seed, user, item)
};

/// Parameter access for plain evaluation.
template <class Scalar>
struct PlainTheta {
  const Scalar* theta;
  SLLMR_HD Scalar operator[](int k) const { return theta[k]; }
};

/// Parameter access that seeds parameters [first, first + N) with unit slopes.
template <class Scalar, int N>
struct SeededTheta {
  const Scalar* theta;
  int first;
  SLLMR_HD Dual<Scalar, N> operator[](int k) const {
    Dual<Scalar, N> out(theta[k]);
    for (int s = 0; s < N; ++s) out.slope[s] = k == first + s ? Scalar(1) : Scalar(0);
    return out;
  }
};

/// How q in [0, 1] is made of the backbone's logit.
enum class Uncertainty : int { confidence, entropy };

/// confidence: 2 (1 - max p), p = sigmoid(logit); entropy: the binary entropy of p in bits. Both are 1 at p =
/// 1/2.
SLLMR_HD inline float uncertainty_of(float logit, Uncertainty kind) {
  const float magnitude = std::fabs(logit);
  const float small = exp_of(-magnitude);        // (1 - p) / p of the likelier answer
  const float p_small = small / (1.0F + small);  // the unlikelier answer's probability
  if (kind == Uncertainty::confidence) return 2.0F * p_small;
  constexpr float kBits = 1.4426950408889634F;  // 1 / ln 2
  // H = -p log p - (1-p) log(1-p), written with log1p so that it stays exact for large logits.
  return kBits * (std::log1p(small) + p_small * magnitude);
}

}  // namespace sllmr
