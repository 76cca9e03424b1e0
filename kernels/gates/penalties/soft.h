// Pulls until the model is as sure of the order as the LLM deserves: with q = (1 + w) / 2, the probability
// that the LLM is right, and p = sigmoid(s_a - s_b), the loss is twice the Kullback-Leibler divergence of p
// from q where p < q, up to a constant, and its gradient by s_a - s_b is -2 max(0, q - p).
#pragma once

#include "kernels/gates/penalties/penalty.h"

namespace sllmr::penalties {

struct Soft : GatePenalty {
  static constexpr std::string_view name = "soft";
  static constexpr std::string_view summary = "pulls until sigmoid(s_a - s_b) is (1 + w) / 2";

  template <class Real>
  SLLMR_HD static Real loss(const Real& s_a, const Real& s_b, const GuidingPair& pair) {
    const float sure = 0.5F * (1.0F + min(pair.weight, 1.0F));
    const Real gap = s_a - s_b;
    // A NaN pulls on; a gate that is shut does not ask for a draw either.
    const auto logit = value_of(gap), p = sigmoid_of(logit);
    const bool rests = p >= sure || pair.weight == 0.0F;
    return select(rests, Real(0), chain(gap, 2 * (softplus(logit) - sure * logit), 2 * (p - sure)));
  }
};

}  // namespace sllmr::penalties
