// What every gating rule begins with. A rule is a function from signals and parameters to alpha.
#pragma once

#include <string_view>

#include "kernels/gates/signals.h"

namespace sllmr {

/// The base of the rules: what one may leave out. It says itself: `name`, `summary` and
///
///   template <class Theta> SLLMR_HD static auto alpha(const GateSignals& z, const Theta& theta);
struct GateRule {
  static constexpr int n_params = 0;
  static constexpr bool uses_draw = false;    // reads GateSignals::draw
  static constexpr bool knows_noise = false;  // which is then 0 where llm.noise replaced the score, else 1
  /// Reads GateSignals::uncertainty. True unless a rule says no: passes that nobody reads cost time, missing
  /// ones the run.
  static constexpr bool uses_uncertainty = true;
  static constexpr bool uses_logit = false;  // reads GateSignals::logit
  /// The starting value of parameter k; `normal` is a standard normal draw of its own.
  static float initial(int /*k*/, float /*normal*/) { return 0.0F; }
};

}  // namespace sllmr
