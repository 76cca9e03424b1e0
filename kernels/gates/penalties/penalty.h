// How a guiding pair pulls the model. A penalty is a loss of the pair's two logits; its gradients come from
// dual numbers.
#pragma once

#include <string_view>

#include "kernels/gates/dual.h"
#include "kernels/logit_loss.h"

namespace sllmr {

/// What a penalty may look at besides the logits: one guiding pair, of whose items the LLM prefers a.
struct GuidingPair {
  float weight;            // what the gate and its objective make of the pair; at 0 nothing may pull
  float margin;            // llm.margin, in logits
  float score_a, score_b;  // t(u,a) > t(u,b), in [0, 1]
};

/// The base of the penalties. One says itself: `name`, `summary` and
///
///   template <class Real>
///   SLLMR_HD static Real loss(const Real& s_a, const Real& s_b, const GuidingPair& pair);
///
/// whose slopes by s_a and s_b need not be opposite: a pair may push its two items by different amounts.
struct GatePenalty {};

/// log(1 + e^x), and of a dual.
template <GateReal Real>
SLLMR_INLINE Real softplus(const Real& x) {
  const auto v = value_of(x);
  const auto decay = exp_of(v > 0 ? -v : v);
  const auto of = log_sigmoid_loss(-v, decay, log1p_of_share(decay));
  return chain(x, of.loss, -of.slope);
}

}  // namespace sllmr
