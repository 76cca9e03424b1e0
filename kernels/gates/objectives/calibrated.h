// The gate tells how often the LLM is right: alpha is read as the probability that the LLM orders two items
// as the user does, fitted to probes by log-loss, a proper scoring rule (Gneiting and Raftery 2007). A side
// is believed as far as that is better than a coin.
#pragma once

#include "kernels/gates/objectives/objective.h"

namespace sllmr::objectives {

struct Calibrated : GateObjective {
  static constexpr std::string_view name = "calibrated";
  static constexpr std::string_view summary = "log-loss on probes: alpha is how often the LLM is right";

  /// Ties are no evidence.
  template <class Real>
  SLLMR_HD static Real loss(const Real& alpha, const PairContext& pair) {
    // Products instead of conditions, which the compiler would branch on; agreement is -1, 0 or 1.
    const float counts = pair.agreement * pair.agreement, wrong = 0.5F * (counts - pair.agreement);
    return -log(alpha * pair.agreement + wrong + kFloor) * (pair.probe ? counts : 0.0F);
  }
  /// The probability whose logit is the mean of the sides', from the geometric means of odds.
  template <class Real>
  SLLMR_HD static Real of_pair(const Real& alpha_a, const Real& alpha_b, bool /*least*/) {
    const Real right = sqrt(alpha_a * alpha_b + kTiny);
    const Real wrong = sqrt((1.0F - alpha_a) * (1.0F - alpha_b) + kTiny);
    return right / (right + wrong);
  }
  template <class Real>
  SLLMR_HD static Real belief(const Real& alpha) {
    const Real better = 2.0F * alpha - 1.0F;
    return 0.5F * (better + abs(better));
  }

  static constexpr bool skips_closed = true;
  static constexpr bool is_probability = true;
  static constexpr std::string_view rule = "confident";
  static constexpr std::string_view penalty = "soft";
  static constexpr bool least_side = true;
  static constexpr bool matched_probes = true;

 private:
  static constexpr float kTiny = 1e-14F;  // keeps slopes finite where an alpha has rounded to 0 or 1
  static constexpr float kFloor = 1e-6F;  // and losses
};

}  // namespace sllmr::objectives
