// The gate on the device: alpha of a pair, the objective's gradient and weight on the model, and the gate's
// gradient.
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
  using Columns = SignalColumns<Most, OtherSignals>;
  const GateArgs& gate;
  const GateBatch<Most>& batch;
  GateSide<Most>&a, &b;

  template <class Rule>
  SLLMR_HD void operator()() {
    Columns of_a, of_b;
    const int n = Most == 1 ? 1 : batch.n + (-batch.n & (GateBatch<Most>::vector - 1));
    for (int k = 0; k < n; ++k) {
      // Both before either is stored: what they share of the user is read once.
      const GateSignals z_a = gate_signals(gate, batch.user[k], batch.a[k], 0.0F);
      const GateSignals z_b = gate_signals(gate, batch.user[k], batch.b[k], 0.0F);
      put(k, z_a, a, of_a);
      put(k, z_b, b, of_b);
    }
    run<Rule>(of_a, a);
    run<Rule>(of_b, b);
  }

 private:
  static SLLMR_INLINE void put(int k, const GateSignals& z, GateSide<Most>& side, Columns& columns) {
    side.cold[k] = z.cold;
    side.tail[k] = z.tail;
    columns.put(k, z);
  }
  template <class Rule>
  SLLMR_INLINE void run(const Columns& columns, GateSide<Most>& side) {
    batch.for_each([&, theta = gate.theta, gap = batch.gap](int k, int) {
      GateSignals z;
      z.cold = side.cold[k];
      z.tail = side.tail[k];
      z.uncertainty = side.uncertainty[k];
      z.score_gap = gap[k];
      columns.get(k, z);
      side.alpha[k] = Rule::alpha(z, PlainTheta<float>{theta});
    });
  }
};

struct OneAlphaVisitor {
  const GateSignals& z;
  const float* theta;
  float alpha = 0;
  template <class Rule>
  SLLMR_HD void operator()() {
    alpha = Rule::alpha(z, PlainTheta<float>{theta});
  }
};

/// Adds upstream * d alpha / d theta to `gradient`; the lanes of a group share the parameters out among
/// themselves.
template <class Lanes>
struct SlopeVisitor {
  Lanes lanes;
  const GateSignals& z;
  const float* theta;
  float upstream;
  float* gradient;
  template <class Rule>
  SLLMR_HD void operator()() {
    if constexpr (Rule::n_params > 0) {
      constexpr int kShare = (Rule::n_params + Lanes::size - 1) / Lanes::size;
      const int first = lanes.lane() * kShare;
      const Dual<float, kShare> alpha = Rule::alpha(z, SeededTheta<float, kShare>{theta, first});
      for (int k = 0; k < kShare; ++k) {
        if (first + k < Rule::n_params) gradient[first + k] += upstream * alpha.slope[k];
      }
    }
  }
};

/// Does the objective weigh the model's hinge by another function than alpha?
template <class Objective>
concept WeighsModel = requires(float alpha, const PairContext& pair) {
  Objective::model_weight(alpha, pair);
};

template <int Most>
struct ObjectiveVisitor {
  const GateArgs& gate;
  const GateBatch<Most>& batch;
  const float* alpha;     // [n]
  const float* hinge;     // [n]
  float *slope, *weight;  // [n]: of the objective by alpha; of the hinge

  template <class Objective>
  SLLMR_HD void operator()() {
    // Asked out here: within the lambda nvcc answers no on the device's side.
    constexpr bool weighs_model = WeighsModel<Objective>;
    batch.for_each([args = &gate, pairs = &batch, alphas = alpha, hinges = hinge, slopes = slope,
                    weights = weight, mean_alpha = gate.running[0],
                    mean_hinge = gate.running[1]](int k, int) {
      const PairContext pair{
          args->lambda, hinges[k],  pairs->cosine[k], pairs->probe[k] != 0.0F, pairs->agreement[k],
          mean_alpha,   mean_hinge, args->price,      args->budget_weight,     args->budget_target};
      Dual<float, 1> seeded(alphas[k]);
      seeded.slope[0] = 1.0F;
      slopes[k] = Objective::loss(seeded, pair).slope[0];
      if constexpr (weighs_model) {
        weights[k] = Objective::model_weight(alphas[k], pair);
      } else {
        weights[k] = alphas[k];
      }
    });
  }
};

}  // namespace detail

/// alpha(u, i) of the rule; in [0, 1]. For the host: alpha_of().
SLLMR_HD inline float gate_alpha(const GateArgs& gate, const GateSignals& z) {
  detail::OneAlphaVisitor visitor{z, gate.theta};
  GateRules::visit(gate.rule, visitor);
  return visitor.alpha;
}

namespace detail {

/// gate_pairs() of a padded batch whose uncertainties are known, padding included: every element of a vector
/// is read.
template <class Rules = EveryPart, int Most, class Lanes, class Tally>
SLLMR_HD void gate_sides(Lanes lanes, const GateArgs& gate, Tally&& tally, const GateBatch<Most>& batch,
                         GateSide<Most>& a, GateSide<Most>& b, GatedPair* gated) {
  AlphaVisitor<Most> rule{gate, batch, a, b};
  GateRules::visit<Rules>(gate.rule, rule);
  float alpha[Most], hinge[Most], slope[Most] = {}, weight[Most] = {};
  batch.for_each([&](int k, int) {
    alpha[k] = 0.5F * (a.alpha[k] + b.alpha[k]);
    const float slack = gate.margin - (batch.logit_a[k] - batch.logit_b[k]);
    const float positive = slack < 0.0F ? 0.0F : slack;  // written so that a NaN logit stays NaN
    hinge[k] = batch.probe[k] != 0.0F ? 0.0F : positive;
  });
  ObjectiveVisitor<Most> objective{gate, batch, alpha, hinge, slope, weight};
  GateObjectives::visit(gate.objective, objective);

  for (int k = 0; k < Most && k < batch.n; ++k) {
    gated[k] = {gate.lambda * weight[k], hinge[k]};
    // Other objectives only count the probes' agreement.
    if (slope[k] == 0.0F || (batch.probe[k] != 0.0F && !gate.uses_probes)) continue;
    for (int side = 0; side < 2; ++side) {
      const bool second = side == 1;
      GateSignals z = gate_signals(gate, batch.user[k], second ? batch.b[k] : batch.a[k], batch.gap[k]);
      z.uncertainty = second ? b.uncertainty[k] : a.uncertainty[k];
      SlopeVisitor<Lanes> visitor{lanes, z, gate.theta, 0.5F * slope[k], slot_of(tally) + GateColumns::theta};
      GateRules::visit<Rules>(gate.rule, visitor);
    }
  }
  if (lanes.lane() != 0) return;
  if constexpr (Most == 1) {
    count_pair(batch, a, b, alpha, hinge, tally);
  } else {
    count_pairs(batch, a, b, alpha, hinge, tally);
  }
}

}  // namespace detail

/// Gate, objective gradient and telemetry of the pairs of `batch`, whose logits are known. Adds to `tally`
/// (of a pair alone the group's slot, else a GateTally) and writes gated[0 .. n-1]; all lanes return the
/// same. `Rules`: has gate.rule.
template <class Rules = EveryPart, int Most, class Lanes, class Tally>
SLLMR_HD void gate_pairs(Lanes lanes, const GateArgs& gate, Tally&& tally, GateBatch<Most>& batch,
                         GatedPair* gated) {
  batch.pad();
  GateSide<Most> a, b;
  with_uncertainty(gate.uncertainty, [&](auto kind) {
    batch.for_each([&](int k, int) {
      a.uncertainty[k] = uncertainty_of<kind.value>(batch.logit_a[k]);
      b.uncertainty[k] = uncertainty_of<kind.value>(batch.logit_b[k]);
    });
  });
  detail::gate_sides<Rules>(lanes, gate, tally, batch, a, b, gated);
}

/// The same of one pair.
template <class Lanes>
SLLMR_HD GatedPair gate_pair(Lanes lanes, const GateArgs& gate, float* slot, Id user, const LlmPair& pair,
                             float logit_a, float logit_b, float cosine, bool probe) {
  GateBatch<1> batch;
  batch.add(user, pair, logit_a, logit_b, cosine, probe);
  GatedPair gated;
  gate_pairs(lanes, gate, slot, batch, &gated);
  return gated;
}

/// The same of one pair whose uncertainties are known: those of (u, a) and of (u, b).
template <class Lanes>
SLLMR_HD GatedPair gate_pair(Lanes lanes, const GateArgs& gate, float* slot, Id user, const LlmPair& pair,
                             float logit_a, float logit_b, float cosine, bool probe, float uncertainty_a,
                             float uncertainty_b) {
  GateBatch<1> batch;
  batch.add(user, pair, logit_a, logit_b, cosine, probe);
  GateSide<1> a, b;
  a.uncertainty[0] = uncertainty_a;
  b.uncertainty[0] = uncertainty_b;
  GatedPair gated;
  detail::gate_sides(lanes, gate, slot, batch, a, b, &gated);
  return gated;
}

}  // namespace sllmr
