// A gate that ignores every signal: the control for selection.
#pragma once

#include <string_view>

#include "kernels/gates/signals.h"

namespace sllmr::gates {

struct Random {
  static constexpr std::string_view name = "random";
  static constexpr std::string_view summary = "a uniform weight in [0, 1), fixed for each (user, item)";
  static constexpr int n_params = 0;
  static constexpr bool uses_uncertainty = false;
  static constexpr bool uses_draw = true;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta&) {
    return z.draw;
  }
};

}  // namespace sllmr::gates
