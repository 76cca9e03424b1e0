// What the gate is trained for, and what the model makes of its answer. An objective is a loss of the pair's
// alpha; its derivative comes from dual numbers.
#pragma once

#include <string_view>

#include "kernels/gates/signals.h"

namespace sllmr {

/// What an objective may look at: one LLM pair of one training row.
struct PairContext {
  float lambda;  // weight of the LLM penalty
  float hinge;   // max(0, margin - (s(u,a) - s(u,b))); 0 on a probe pair, which never moves the model
  float cosine;  // between the user-row gradients of the base loss and of the hinge; 0 where the hinge is 0
  bool probe;    // the pair is (probe, other candidate)
  float agreement;      // on a probe pair: +1 if the LLM scores the probe higher, -1 if lower, 0 if tied
  float mean_alpha;     // running means over recent pairs, for objectives that compare with the average
  float mean_hinge;     // of alpha * hinge
  float price;          // c: the expected agreement above which listening pays
  float budget_weight;  // mu
  float budget_target;  // rho
};

/// What two sides say together: the lesser of them, or their mean (gate.sides).
template <class Real>
SLLMR_INLINE Real of_sides(const Real& a, const Real& b, bool least) {
  return select(least, min(a, b), Real(0.5F * (a + b)));
}

/// The base of the objectives: what one may leave out. It says itself: `name`, `summary` and
///
///   template <class Real> SLLMR_HD static Real loss(const Real& alpha, const PairContext& pair);
///
/// What it reads of PairContext is found out by trying (registry.cpp): one that reads `agreement` is taught
/// by probes, `cosine` is computed and `price` and the budget are accepted only for who reads them.
struct GateObjective {
  /// A guiding pair that the model gives no weight teaches it nothing, and may be left out.
  static constexpr bool skips_closed = false;
  /// Alpha is the probability that the LLM is right. Some users' probes are kept from the gate, and tell how
  /// reliable it is.
  static constexpr bool is_probability = false;

  // What a run takes where its configuration says `auto`.
  static constexpr std::string_view rule = "learned";
  static constexpr std::string_view penalty = "hinge";
  static constexpr bool least_side = false;
  static constexpr bool matched_probes = false;

  /// The pair's alpha, which loss() gets, of those of its sides.
  template <class Real>
  SLLMR_HD static Real of_pair(const Real& alpha_a, const Real& alpha_b, bool least) {
    return of_sides(alpha_a, alpha_b, least);
  }
  /// How far a side counts in the model's loss, in [0, 1].
  template <class Real>
  SLLMR_HD static Real belief(const Real& alpha) {
    return alpha;
  }
  /// The pair's weight in the model's loss over lambda, of its sides' belief together.
  SLLMR_HD static float model_weight(float belief, const PairContext& /*pair*/) { return belief; }
};

/// What a guiding pair weighs in the model's loss over lambda, of its sides' alphas.
template <class Objective>
SLLMR_INLINE float pair_weight(float alpha_a, float alpha_b, bool least, const PairContext& pair) {
  return Objective::model_weight(of_sides(Objective::belief(alpha_a), Objective::belief(alpha_b), least),
                                 pair);
}

}  // namespace sllmr
