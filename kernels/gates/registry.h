// Every gating rule, gate objective and penalty. A new one is its header and its line here; the CLI, config
// checks, gradient checks, parity tests, telemetry and reports enumerate these lists.
#pragma once

#include <type_traits>

#include "kernels/gates/columns.h"
#include "kernels/gates/confident.h"
#include "kernels/gates/fixed.h"
#include "kernels/gates/gate_args.h"
#include "kernels/gates/learned.h"
#include "kernels/gates/mlp.h"
#include "kernels/gates/objectives/agreement.h"
#include "kernels/gates/objectives/alignment.h"
#include "kernels/gates/objectives/budget.h"
#include "kernels/gates/objectives/calibrated.h"
#include "kernels/gates/objectives/hinge.h"
#include "kernels/gates/objectives/normalised.h"
#include "kernels/gates/penalties/hinge.h"
#include "kernels/gates/penalties/pointwise.h"
#include "kernels/gates/penalties/soft.h"
#if defined(SLLMR_GATE_MODULE)
#include SLLMR_GATE_MODULE  // a user's parts; see kernels/gates/module/module.h
#else
#define SLLMR_MORE_RULES
#define SLLMR_MORE_OBJECTIVES
#define SLLMR_MORE_PENALTIES
#endif

namespace sllmr {

/// Which parts a kernel has code for.
struct EveryPart {
  template <class Part>
  static constexpr bool has = true;
};

template <class... Parts>
struct PartList {
  static constexpr int count = sizeof...(Parts);

  /// Calls visitor.template operator()<Part>() for the part with index `id`, if Some has it.
  template <class Some = EveryPart, class Visitor>
  SLLMR_HD static void visit(int id, Visitor& visitor) {
    int k = 0;
    ((k++ == id ? call<Some, Parts>(visitor) : void()), ...);
  }
  /// Does Some have the part with index `id`?
  template <class Some>
  static bool in(int id) {
    int k = 0;
    bool found = false;
    ((found = found || (k++ == id && Some::template has<Parts>)), ...);
    return found;
  }

 private:
  template <class Some, class Part, class Visitor>
  SLLMR_HD static void call(Visitor& visitor) {
    if constexpr (Some::template has<Part>) visitor.template operator()<Part>();
  }
};

using GateRules = PartList<gates::Learned,     //
                           gates::Always,      //
                           gates::Never,       //
                           gates::ColdOrTail,  //
                           gates::Random,      //
                           gates::Mlp,         //
                           gates::Confident,   //
                           gates::Cold,        //
                           gates::Tail,        //
                           gates::Oracle SLLMR_MORE_RULES>;

using GateObjectives = PartList<objectives::Hinge,       //
                                objectives::Agreement,   //
                                objectives::Alignment,   //
                                objectives::Normalised,  //
                                objectives::Budget,      //
                                objectives::Calibrated SLLMR_MORE_OBJECTIVES>;

using GatePenalties = PartList<penalties::Hinge,  //
                               penalties::Soft,   //
                               penalties::Pointwise SLLMR_MORE_PENALTIES>;

// On CUDA each of these classes has a kernel of its own: one that has code for more needs more registers, and
// who does not use it would pay.

/// Rules of as many parameters as a warp has lanes, with every objective and penalty.
struct NarrowParts {
  static constexpr int most_params = 32;

  template <class Part>
  static constexpr bool has = [] {
    if constexpr (std::is_base_of_v<GateRule, Part>) return Part::n_params <= most_params;
    return true;
  }();
};
/// Of those what the paper's method is made of: few signals, alpha as it is, the hinge.
struct LeanParts {
  template <class Part>
  static constexpr bool has = [] {
    if constexpr (std::is_base_of_v<GateObjective, Part>) return !Part::is_probability;
    if constexpr (std::is_base_of_v<GatePenalty, Part>) return std::is_same_v<Part, penalties::Hinge>;
    if constexpr (std::is_base_of_v<GateRule, Part>)
      return NarrowParts::has<Part> && !Part::uses_logit && !Part::knows_noise;
    return true;
  }();
};
/// The rules that are not narrow.
struct WideParts {
  template <class Part>
  static constexpr bool has = !std::is_base_of_v<GateRule, Part> || !NarrowParts::has<Part>;
};

/// Has Some all that the gate is made of?
template <class Some>
bool has_parts_of(const GateArgs& gate) {
  return GateRules::in<Some>(gate.rule) && GateObjectives::in<Some>(gate.objective) &&
         GatePenalties::in<Some>(gate.penalty);
}

namespace detail {
template <class... Rules>
constexpr int most_params(PartList<Rules...>) {
  int most = 0;
  ((most = Rules::n_params > most ? Rules::n_params : most), ...);
  return most;
}
}  // namespace detail
static_assert(detail::most_params(GateRules{}) <= kMaxGateParams,
              "a rule has more parameters: raise kMaxGateParams");

}  // namespace sllmr
