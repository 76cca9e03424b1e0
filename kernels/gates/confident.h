// A logistic regression on every signal, for an objective that asks how often the LLM is right.
#pragma once

#include "kernels/gates/rule.h"

namespace sllmr::gates {

struct Confident : GateRule {
  static constexpr std::string_view name = "confident";
  static constexpr std::string_view summary = "sigmoid(w . z + b), linear in every signal";
  static constexpr int n_params = 11;  // in the order of alpha()'s terms, b last
  static constexpr bool uses_logit = true;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta& theta) {
    const float x[n_params - 1] = {z.cold,      z.tail,  z.uncertainty,   z.log_history,  z.log_popularity,
                                   z.score_gap, z.logit, z.score_entropy, z.user_entropy, z.judge_variance};
    auto logit = theta[n_params - 1];
    for (int k = 0; k < n_params - 1; ++k) logit = logit + theta[k] * x[k];
    return sigmoid(logit);
  }
};

}  // namespace sllmr::gates
