// The paper's gate: a logistic regression on cold user, long-tail item and uncertainty.
#pragma once

#include "kernels/gates/rule.h"

namespace sllmr::gates {

struct Learned : GateRule {
  static constexpr std::string_view name = "learned";
  static constexpr std::string_view summary = "sigmoid(w . [cold, tail, uncertainty] + b), the paper's";
  static constexpr int n_params = 4;  // w_cold, w_tail, w_uncertainty, b

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta& theta) {
    return sigmoid(theta[0] * z.cold + theta[1] * z.tail + theta[2] * z.uncertainty + theta[3]);
  }
};

}  // namespace sllmr::gates
