// The paper's objective plus mu (mean(alpha) - rho)^2, linearised at the running mean: the gate must spend a
// budget.
#pragma once

#include "kernels/gates/objectives/objective.h"

namespace sllmr::objectives {

struct Budget : GateObjective {
  static constexpr std::string_view name = "budget";
  static constexpr std::string_view summary = "lambda alpha h + mu (mean alpha - rho)^2: must spend a budget";

  template <class Real>
  SLLMR_HD static Real loss(const Real& alpha, const PairContext& pair) {
    return alpha *
           (pair.lambda * pair.hinge + 2.0F * pair.budget_weight * (pair.mean_alpha - pair.budget_target));
  }
};

}  // namespace sllmr::objectives
