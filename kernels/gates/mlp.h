// A gate with one hidden layer over seven signals, for interactions that a linear gate cannot express.
#pragma once

#include "kernels/gates/rule.h"

namespace sllmr::gates {

struct Mlp : GateRule {
  static constexpr std::string_view name = "mlp";
  static constexpr std::string_view summary = "sigmoid of one tanh layer of 8 over seven signals";
  static constexpr int n_signals = 7, n_hidden = 8;
  static constexpr int n_params =
      n_hidden * (n_signals + 2) + 1;  // a hidden unit: weights, bias, output weight; bias

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta& theta) {
    const float x[n_signals] = {z.cold,           z.tail,      z.uncertainty,  z.log_history,
                                z.log_popularity, z.score_gap, z.score_entropy};
    auto logit = theta[n_params - 1];
    for (int h = 0; h < n_hidden; ++h) {
      const int at = h * (n_signals + 2);
      auto hidden = theta[at + n_signals];
      for (int s = 0; s < n_signals; ++s) hidden = hidden + theta[at + s] * x[s];
      logit = logit + theta[at + n_signals + 1] * tanh(hidden);
    }
    return sigmoid(logit);
  }

  /// Hidden units must start apart; the output starts at alpha near 1/2.
  static float initial(int k, float normal) { return k == n_params - 1 ? 0.0F : 0.5F * normal; }
};

}  // namespace sllmr::gates
