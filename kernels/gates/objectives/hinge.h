// The paper's objective: the penalty itself. Since alpha multiplies a hinge >= 0, descent can only close the
// gate.
#pragma once

#include "kernels/gates/objectives/objective.h"

namespace sllmr::objectives {

struct Hinge : GateObjective {
  static constexpr std::string_view name = "hinge";
  static constexpr std::string_view summary = "lambda alpha h, the paper's: can only close the gate";

  template <class Real>
  SLLMR_HD static Real loss(const Real& alpha, const PairContext& pair) {
    return alpha * (pair.lambda * pair.hinge);
  }
  static constexpr bool skips_closed = true;
};

}  // namespace sllmr::objectives
