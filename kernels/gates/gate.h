// The gate on the device: alpha of a pair, the objective's gradient, its weight on the model and the
// penalty's gradient, and the gate's gradient.
#pragma once

#include <cmath>

#include "kernels/gates/gate_args.h"
#include "kernels/gates/registry.h"
#include "kernels/gates/telemetry.h"

namespace sllmr {

namespace detail {

/// Signals of one side of a batch that its rule alone reads, a column each.
template <auto member, int Most>
struct SignalColumn {
  float value[Most];
};
template <int Most, class Signals>
struct SignalColumns;
template <int Most, auto... members>
struct SignalColumns<Most, MemberList<members...>> : SignalColumn<members, Most>... {
  SLLMR_INLINE void put(int k, const GateSignals& z) {
    ((SignalColumn<members, Most>::value[k] = z.*members), ...);
  }
  SLLMR_INLINE void get(int k, GateSignals& z) const {
    ((z.*members = SignalColumn<members, Most>::value[k]), ...);
  }
};

template <int Most>
struct AlphaVisitor {
  using UserColumns = SignalColumns<Most, OtherUserSignals>;
  using SideColumns = SignalColumns<Most, OtherSideSignals>;
  const GateArgs& gate;
  const GateBatch<Most>& batch;
  GateSide<Most>&a, &b;

  template <class Rule>
  SLLMR_FLAT void operator()() {
    UserColumns of_user;
    SideColumns of_a, of_b;
    const int n = Most == 1 ? 1 : batch.n + (-batch.n & (GateBatch<Most>::vector - 1));
    for (int k = 0; k < n; ++k) {
      // Both before either is stored: what they share of the user is read once.
      const GateSignals z_a = gate_signals(gate, batch.user[k], batch.a[k], 0.0F);
      const GateSignals z_b = gate_signals(gate, batch.user[k], batch.b[k], 0.0F);
      of_user.put(k, z_a);
      put<Rule>(k, batch.a[k], z_a, a, of_a);
      put<Rule>(k, batch.b[k], z_b, b, of_b);
    }
    run<Rule>(of_user, of_a, batch.logit_a, a);
    run<Rule>(of_user, of_b, batch.logit_b, b);
  }

 private:
  template <class Rule>
  SLLMR_INLINE void put(int k, Id item, GateSignals z, GateSide<Most>& side, SideColumns& columns) const {
    z.draw = gate_draw<Rule>(gate, batch.user[k], item, z);
    side.cold[k] = z.cold;
    side.tail[k] = z.tail;
    columns.put(k, z);
  }
  template <class Rule>
  SLLMR_INLINE void run(const UserColumns& of_user, const SideColumns& columns, const float* logits,
                        GateSide<Most>& side) {
    batch.for_each([&, logit = logits, theta = gate.theta, pairs = &batch](int k, int) {
      GateSignals z;
      z.cold = side.cold[k];
      z.tail = side.tail[k];
      z.uncertainty = side.uncertainty[k];
      z.logit = logit_signal(logit[k]);
      z.score_gap = pairs->gap(k);
      of_user.get(k, z);
      columns.get(k, z);
      side.alpha[k] = Rule::alpha(z, PlainTheta<float>{theta});
    });
  }
};

struct OneAlphaVisitor {
  const GateArgs& gate;
  Id user, item;
  GateSignals z;
  float alpha = 0;
  template <class Rule>
  SLLMR_HD void operator()() {
    z.draw = gate_draw<Rule>(gate, user, item, z);
    alpha = Rule::alpha(z, PlainTheta<float>{gate.theta});
  }
};

/// Adds upstream * d alpha / d theta to `gradient`; the lanes of a group share the parameters out among
/// themselves.
template <class Lanes>
struct SlopeVisitor {
  Lanes lanes;
  const GateArgs& gate;
  Id user, item;
  GateSignals& z;
  float upstream;
  float* gradient;
  template <class Rule>
  SLLMR_HD void operator()() {
    if constexpr (Rule::n_params > 0) {
      z.draw = gate_draw<Rule>(gate, user, item, z);
      constexpr int kShare = (Rule::n_params + Lanes::size - 1) / Lanes::size;
      const int first = lanes.lane() * kShare;
      const Dual<float, kShare> alpha = Rule::alpha(z, SeededTheta<float, kShare>{gate.theta, first});
      for (int k = 0; k < kShare; ++k) {
        if (first + k < Rule::n_params) gradient[first + k] += upstream * alpha.slope[k];
      }
    }
  }
};

/// x as variable k of two.
template <class Real>
SLLMR_INLINE Dual<Real, 2> variable(int k, Real x) {
  Dual<Real, 2> out(x);
  out.slope[k] = Real(1);
  return out;
}

/// What an objective sees of a pair; the means are read once a batch.
SLLMR_INLINE PairContext pair_context(const GateArgs& args, float hinge, float cosine, bool probe,
                                      float agreement, float mean_alpha, float mean_hinge) {
  return {args.lambda,
          hinge,
          cosine,
          probe,
          agreement,
          mean_alpha,
          mean_hinge,
          args.price,
          args.budget_weight,
          args.budget_target};
}

template <int Most>
struct ObjectiveVisitor {
  const GateArgs& gate;
  const GateBatch<Most>& batch;
  const GateSide<Most>&a, &b;
  PairSums<Most>& sums;      // has the hinge
  float *slope_a, *slope_b;  // [n]: of the objective by the sides' alphas

  template <class Objective>
  SLLMR_FLAT void operator()() {
    if constexpr (Most == 1) {
      of_pairs<Objective>(gate.least_side);
    } else {
      // A choice that the loop would make anew for each pair keeps it from running in vectors.
      with_constant(gate.least_side, [&](auto least) { of_pairs<Objective>(least); });
    }
  }

 private:
  template <class Objective, class Least>
  SLLMR_INLINE void of_pairs(Least least) {
    batch.for_each([args = &gate, pairs = &batch, alphas_a = a.alpha, alphas_b = b.alpha, pair_sums = &sums,
                    slopes_a = slope_a, slopes_b = slope_b, least, mean_alpha = gate.running[0],
                    mean_hinge = gate.running[1]](int k, int) {
      const PairContext pair =
          pair_context(*args, pair_sums->hinge[k], pairs->cosine[k], pairs->probe[k] != 0.0F,
                       pairs->agreement(k), mean_alpha, mean_hinge);
      const Dual<float, 2> alpha =
          Objective::of_pair(variable(0, alphas_a[k]), variable(1, alphas_b[k]), least);
      const Dual<float, 2> loss = Objective::loss(alpha, pair);
      slopes_a[k] = loss.slope[0];
      slopes_b[k] = loss.slope[1];
      pair_sums->alpha[k] = alpha.value;
      pair_sums->weight[k] = pair_weight<Objective>(alphas_a[k], alphas_b[k], least, pair);
    });
  }
};

template <int Most>
struct PenaltyVisitor {
  const GateArgs& gate;
  const GateBatch<Most>& batch;
  const float* weight;  // [n]
  GatedPairs<Most>& gated;

  template <class Penalty>
  SLLMR_FLAT void operator()() {
    batch.for_each([pairs = &batch, weights = weight, out = &gated, lambda = gate.lambda,
                    margin = gate.margin](int k, int) {
      const GuidingPair pair{weights[k], margin, pairs->score_a[k], pairs->score_b[k]};
      const Dual<float, 2> loss =
          Penalty::loss(variable(0, pairs->logit_a[k]), variable(1, pairs->logit_b[k]), pair);
      const bool guides = pairs->probe[k] == 0.0F;
      out->push_a[k] = guides ? lambda * loss.slope[0] : 0.0F;
      out->push_b[k] = guides ? lambda * loss.slope[1] : 0.0F;
    });
  }
};

}  // namespace detail

/// alpha(u, i) of the rule, in [0, 1], given gate_signals() and those of the logit. For the host: alpha_of().
SLLMR_HD inline float gate_alpha(const GateArgs& gate, Id user, Id item, const GateSignals& z) {
  detail::OneAlphaVisitor visitor{gate, user, item, z};
  GateRules::visit(gate.rule, visitor);
  return visitor.alpha;
}

namespace detail {

/// gate_pairs() of a padded batch whose uncertainties are known, padding included: every element of a vector
/// is read.
template <class Parts = EveryPart, int Most, class Lanes, class Tally>
SLLMR_INLINE void gate_sides(Lanes lanes, const GateArgs& gate, Tally&& tally, const GateBatch<Most>& batch,
                             GateSide<Most>& a, GateSide<Most>& b, GatedPairs<Most>& gated) {
  AlphaVisitor<Most> rule{gate, batch, a, b};
  GateRules::visit<Parts>(gate.rule, rule);
  PairSums<Most> sums;
  float slope_a[Most] = {}, slope_b[Most] = {};
  batch.for_each([&](int k, int) {
    const float slack = gate.margin - (batch.logit_a[k] - batch.logit_b[k]);
    const float positive = slack < 0.0F ? 0.0F : slack;  // written so that a NaN logit stays NaN
    sums.hinge[k] = batch.probe[k] != 0.0F ? 0.0F : positive;
  });
  ObjectiveVisitor<Most> objective{gate, batch, a, b, sums, slope_a, slope_b};
  GateObjectives::visit<Parts>(gate.objective, objective);
  PenaltyVisitor<Most> penalty{gate, batch, sums.weight, gated};
  GatePenalties::visit<Parts>(gate.penalty, penalty);

  for (int k = 0; k < Most && k < batch.n; ++k) {
    const bool probe = batch.probe[k] != 0.0F;
    if (probe && held_out(gate, batch.user[k])) {
      if (lanes.lane() == 0) count_reliability(batch.agreement(k), sums.alpha[k], slot_of(tally));
      continue;
    }
    // Other objectives only count the probes' agreement.
    if ((slope_a[k] == 0.0F && slope_b[k] == 0.0F) || (probe && !gate.uses_probes)) continue;
    for (int side = 0; side < 2; ++side) {
      const bool second = side == 1;
      const Id item = second ? batch.b[k] : batch.a[k];
      GateSignals z = gate_signals(gate, batch.user[k], item, batch.gap(k));
      z.uncertainty = second ? b.uncertainty[k] : a.uncertainty[k];
      z.logit = logit_signal(second ? batch.logit_b[k] : batch.logit_a[k]);
      SlopeVisitor<Lanes> visitor{lanes,
                                  gate,
                                  batch.user[k],
                                  item,
                                  z,
                                  second ? slope_b[k] : slope_a[k],
                                  slot_of(tally) + GateColumns::theta};
      GateRules::visit<Parts>(gate.rule, visitor);
    }
  }
  if (lanes.lane() != 0) return;
  if constexpr (Most == 1) {
    count_pair(batch, a, b, sums, gated, tally);
  } else {
    count_pairs(batch, a, b, sums, gated, tally);
  }
}

}  // namespace detail

/// Gate, objective gradient and telemetry of the pairs of `batch`, whose logits are known. Adds to `tally`
/// (of a pair alone the group's slot, else a GateTally) and writes `gated`; all lanes return the same.
/// `Parts`: has all that the gate is made of.
template <class Parts = EveryPart, int Most, class Lanes, class Tally>
SLLMR_HD void gate_pairs(Lanes lanes, const GateArgs& gate, Tally&& tally, GateBatch<Most>& batch,
                         GatedPairs<Most>& gated) {
  batch.pad();
  GateSide<Most> a, b;
  with_uncertainty(gate.uncertainty, [&](auto kind) {
    batch.for_each([&](int k, int) {
      a.uncertainty[k] = uncertainty_of<kind.value>(batch.logit_a[k]);
      b.uncertainty[k] = uncertainty_of<kind.value>(batch.logit_b[k]);
    });
  });
  detail::gate_sides<Parts>(lanes, gate, tally, batch, a, b, gated);
}

/// The same of one pair.
template <class Lanes>
SLLMR_HD GatedPairs<1> gate_pair(Lanes lanes, const GateArgs& gate, float* slot, Id user, const LlmPair& pair,
                                 float logit_a, float logit_b, float cosine, bool probe) {
  GateBatch<1> batch;
  batch.add(user, pair, logit_a, logit_b, cosine, probe);
  GatedPairs<1> gated;
  gate_pairs(lanes, gate, slot, batch, gated);
  return gated;
}

/// The same of one pair whose uncertainties are known: those of (u, a) and of (u, b).
template <class Lanes>
SLLMR_HD GatedPairs<1> gate_pair(Lanes lanes, const GateArgs& gate, float* slot, Id user, const LlmPair& pair,
                                 float logit_a, float logit_b, float cosine, bool probe, float uncertainty_a,
                                 float uncertainty_b) {
  GateBatch<1> batch;
  batch.add(user, pair, logit_a, logit_b, cosine, probe);
  GateSide<1> a, b;
  a.uncertainty[0] = uncertainty_a;
  b.uncertainty[0] = uncertainty_b;
  GatedPairs<1> gated;
  detail::gate_sides(lanes, gate, slot, batch, a, b, gated);
  return gated;
}

}  // namespace sllmr
