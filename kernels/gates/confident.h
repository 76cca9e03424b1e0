// A logistic regression on every signal, for an objective that asks how often the LLM is right. What a gap
// of scores is worth may differ between classes of users and items: a judge's gaps mean little where it
// guesses.
#pragma once

#include "kernels/gates/rule.h"

namespace sllmr::gates {

struct Confident : GateRule {
  static constexpr std::string_view name = "confident";
  static constexpr std::string_view summary = "sigmoid(w . z + b), linear in every signal, gap by cold, tail";
  static constexpr int n_params = 13;  // in the order of alpha()'s terms, b last
  static constexpr bool uses_logit = true;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta& theta) {
    const float x[n_params - 1] = {z.cold,
                                   z.tail,
                                   z.uncertainty,
                                   z.log_history,
                                   z.log_popularity,
                                   z.score_gap,
                                   z.logit,
                                   z.score_entropy,
                                   z.user_entropy,
                                   z.judge_variance,
                                   z.cold * z.score_gap,
                                   z.tail * z.score_gap};
    return sigmoid(theta.plus_product(theta[n_params - 1], 0, x));
  }
};

}  // namespace sllmr::gates
