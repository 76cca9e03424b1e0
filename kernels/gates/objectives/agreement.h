// The gate learns when the LLM's order agrees with what users did, from probes: -alpha (a - c). Its minimiser
// opens alpha exactly where the expected agreement a exceeds the price c of listening.
#pragma once

#include "kernels/gates/objectives/objective.h"

namespace sllmr::objectives {

struct Agreement : GateObjective {
  static constexpr std::string_view name = "agreement";
  static constexpr std::string_view summary = "-alpha (a - c) on probes: opens where LLM and users agree";

  template <class Real>
  SLLMR_HD static Real loss(const Real& alpha, const PairContext& pair) {
    return pair.probe ? alpha * (pair.price - pair.agreement) : alpha * 0.0F;
  }
  static constexpr bool skips_closed = true;
};

}  // namespace sllmr::objectives
