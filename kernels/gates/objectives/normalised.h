// sum(alpha h) / sum(alpha): the penalty per unit of trust, so that closing everywhere gains nothing. Written
// as its linearisation at the running means: d/d alpha_k = (h_k - mean(alpha h) / mean(alpha)) / mean(alpha).
#pragma once

#include "kernels/gates/objectives/objective.h"

namespace sllmr::objectives {

struct Normalised : GateObjective {
  static constexpr std::string_view name = "normalised";
  static constexpr std::string_view summary = "lambda sum(alpha h) / sum(alpha): opens where the LLM fits";

  template <class Real>
  SLLMR_HD static Real loss(const Real& alpha, const PairContext& pair) {
    const float mean = pair.mean_alpha > kFloor ? pair.mean_alpha : kFloor;
    return alpha * (pair.lambda * (pair.hinge - pair.mean_hinge / mean) / mean);
  }
  /// The model's penalty is normalised in the same way.
  SLLMR_HD static float model_weight(float belief, const PairContext& pair) {
    return belief / (pair.mean_alpha > kFloor ? pair.mean_alpha : kFloor);
  }
  static constexpr float kFloor = 0.05F;  // keeps a nearly closed gate from blowing the penalty up
};

}  // namespace sllmr::objectives
