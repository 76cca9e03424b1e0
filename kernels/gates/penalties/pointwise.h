// Each logit to its own score: the pair's binary cross-entropies, without the margin's comparison. The
// pairwise penalties' control.
#pragma once

#include "kernels/gates/penalties/penalty.h"

namespace sllmr::penalties {

struct Pointwise : GatePenalty {
  static constexpr std::string_view name = "pointwise";
  static constexpr std::string_view summary = "w (BCE(s_a, t_a) + BCE(s_b, t_b)): each logit to its score";

  template <class Real>
  SLLMR_HD static Real loss(const Real& s_a, const Real& s_b, const GuidingPair& pair) {
    return pair.weight * ((softplus(s_a) - pair.score_a * s_a) + (softplus(s_b) - pair.score_b * s_b));
  }
};

}  // namespace sllmr::penalties
