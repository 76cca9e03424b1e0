// Every gating rule, gate objective and penalty. A new one is its header and its line here; the CLI, config
// checks, gradient checks, parity tests, telemetry and reports enumerate these lists.
#pragma once

#include "kernels/gates/columns.h"
#include "kernels/gates/confident.h"
#include "kernels/gates/fixed.h"
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
                           gates::Tail>;

using GateObjectives = PartList<objectives::Hinge,       //
                                objectives::Agreement,   //
                                objectives::Alignment,   //
                                objectives::Normalised,  //
                                objectives::Budget,      //
                                objectives::Calibrated>;

using GatePenalties = PartList<penalties::Hinge,  //
                               penalties::Soft,   //
                               penalties::Pointwise>;

/// Rules of as many parameters as a warp has lanes, and the rest: on CUDA a kernel that has code for the
/// latter, too, needs twice the registers.
struct NarrowRules {
  static constexpr int most_params = 32;
  template <class Rule>
  static constexpr bool has = Rule::n_params <= most_params;
};
struct WideRules {
  template <class Rule>
  static constexpr bool has = !NarrowRules::has<Rule>;
};

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
