// Opens where the penalty pulls the user's row the way the base loss does: -alpha cos(gradients on the user's
// row).
#pragma once

#include "kernels/gates/objectives/objective.h"

namespace sllmr::objectives {

struct Alignment : GateObjective {
  static constexpr std::string_view name = "alignment";
  static constexpr std::string_view summary = "-alpha cos(base gradient, hinge gradient) on the user's row";

  template <class Real>
  SLLMR_HD static Real loss(const Real& alpha, const PairContext& pair) {
    return alpha * -pair.cosine;
  }
};

}  // namespace sllmr::objectives
