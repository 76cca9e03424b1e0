// The gate that is shut: pairs are read and counted, and change nothing. The control for the cost of
// selectivity.
#pragma once

#include <string_view>

#include "kernels/gates/signals.h"

namespace sllmr::gates {

struct Never {
  static constexpr std::string_view name = "never";
  static constexpr std::string_view summary = "0: the LLM is never believed";
  static constexpr int n_params = 0;
  static constexpr bool uses_uncertainty = false;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals&, const Theta&) {
    return 0.0F;
  }
};

}  // namespace sllmr::gates
