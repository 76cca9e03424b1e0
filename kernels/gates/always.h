// No selection: every pair counts fully (the "global" method).
#pragma once

#include <string_view>

#include "kernels/gates/signals.h"

namespace sllmr::gates {

struct Always {
  static constexpr std::string_view name = "always";
  static constexpr std::string_view summary = "1: the LLM is always believed (global regularisation)";
  static constexpr int n_params = 0;
  static constexpr bool uses_uncertainty = false;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals&, const Theta&) {
    return 1.0F;
  }
};

}  // namespace sllmr::gates
