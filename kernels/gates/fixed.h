// Rules without parameters: the hand-written one, and controls.
#pragma once

#include "kernels/gates/rule.h"

namespace sllmr::gates {

/// alpha = `everywhere`.
template <int everywhere>
struct Constant : GateRule {
  static constexpr bool uses_uncertainty = false;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals&, const Theta&) {
    return static_cast<float>(everywhere);
  }
};

/// No selection: every pair counts fully (the "global" method).
struct Always : Constant<1> {
  static constexpr std::string_view name = "always";
  static constexpr std::string_view summary = "1: the LLM is always believed (global regularisation)";
};

/// The gate that is shut: pairs are read and counted, and change nothing. The control for the cost of
/// selectivity.
struct Never : Constant<0> {
  static constexpr std::string_view name = "never";
  static constexpr std::string_view summary = "0: the LLM is never believed";
};

/// Believes the LLM where the recommender has little data.
struct ColdOrTail : GateRule {
  static constexpr std::string_view name = "cold-or-tail";
  static constexpr std::string_view summary = "1 for a cold user or a long-tail item, else 0";
  static constexpr bool uses_uncertainty = false;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta&) {
    return z.cold > z.tail ? z.cold : z.tail;
  }
};

/// alpha = one signal.
template <auto signal>
struct OneSignal : GateRule {
  static constexpr bool uses_uncertainty = false;

  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta&) {
    return z.*signal;
  }
};

/// The two halves of cold-or-tail.
struct Cold : OneSignal<&GateSignals::cold> {
  static constexpr std::string_view name = "cold";
  static constexpr std::string_view summary = "1 for a cold user, else 0";
};
struct Tail : OneSignal<&GateSignals::tail> {
  static constexpr std::string_view name = "tail";
  static constexpr std::string_view summary = "1 for a long-tail item, else 0";
};

/// A gate that ignores every signal: the control for selection.
struct Random : OneSignal<&GateSignals::draw> {
  static constexpr std::string_view name = "random";
  static constexpr std::string_view summary =
      "a random weight of mean gate.mean_alpha, fixed for each (user, item)";
  static constexpr bool uses_draw = true;
};

/// A gate that selects without fault. Of a real judge nobody knows what it is told.
struct Oracle : OneSignal<&GateSignals::draw> {
  static constexpr std::string_view name = "oracle";
  static constexpr std::string_view summary = "no method: 0 where llm.noise replaced the score, else 1";
  static constexpr bool uses_draw = true;
  static constexpr bool knows_noise = true;
};

}  // namespace sllmr::gates
