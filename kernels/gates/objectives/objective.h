// What the gate is trained for. An objective is a loss of the pair's alpha; its derivative comes from dual
// numbers.
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

/// The base of the objectives: what one may leave out. It says itself: `name`, `summary` and
///
///   template <class Real> SLLMR_HD static Real loss(const Real& alpha, const PairContext& pair);
struct GateObjective {
  static constexpr bool uses_probes = false;   // probe pairs teach it
  static constexpr bool uses_cosine = false;   // reads PairContext::cosine
  static constexpr bool skips_closed = false;  // a guiding pair whose alpha is near 0 teaches it nothing
};

}  // namespace sllmr
