// The hand-written rule: believe the LLM where the recommender has little data.
#pragma once

#include <string_view>

#include "kernels/gates/signals.h"

namespace sllmr::gates {

struct ColdOrTail {
  static constexpr std::string_view name = "cold-or-tail";
  static constexpr std::string_view summary = "1 for a cold user or a long-tail item, else 0";
  static constexpr int n_params = 0;
  static constexpr bool uses_uncertainty = false;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta&) {
    return z.cold > z.tail ? z.cold : z.tail;
  }
};

}  // namespace sllmr::gates
