// The gate on the device: signals of a pair, its alpha, the objective's gradient, and the telemetry.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/exec/random.h"
#include "kernels/gates/registry.h"
#include "kernels/pair_sampler.h"

namespace sllmr {

/// Signals of a user and of an item that do not change during training.
struct UserSignals {
  float cold, log_history, score_entropy, unused;
};
struct ItemSignals {
  float tail, log_popularity;
};

/// Columns of a slot of accumulators: the gate's gradient, then sums over the slot's rows.
struct GateColumns {
  static constexpr int theta = 0;                // [kMaxGateParams]
  static constexpr int bucket = kMaxGateParams;  // [4 buckets, cold x tail][bucket_columns]
  static constexpr int bucket_columns = 3;       // (user, item) count, sum of alpha, sum of alpha^2
  static constexpr int pairs = bucket + 4 * bucket_columns;  // LLM pairs
  static constexpr int pair_alpha = pairs + 1;               // sum of the pair's alpha
  static constexpr int pair_hinge = pairs + 2;               // sum of alpha * hinge
  static constexpr int active = pairs + 3;                   // pairs with a positive hinge
  static constexpr int probes = pairs + 4;                   // probe pairs
  static constexpr int agreement = pairs + 5;                // sum of the probes' agreement
  static constexpr int rows = pairs + 6;                     // training rows
  static constexpr int loss = pairs + 7;                     // sum of the base loss
  static constexpr int used = pairs + 8;
  static constexpr int stride = (used + 15) / 16 * 16;  // a multiple of the cache line: slots never share one
};

/// The gate of one run, as kernels see it.
struct GateArgs {
  int rule = 0, objective = 0;
  bool uses_probes = false, uses_draw = false, uses_cosine = false;
  Uncertainty uncertainty = Uncertainty::confidence;
  float lambda = 0, margin = 0, price = 0, budget_weight = 0, budget_target = 0;
  std::uint64_t seed = 0;
  const float* theta = nullptr;        // [n_params]
  const float* running = nullptr;      // {mean alpha, mean alpha * hinge}
  const UserSignals* users = nullptr;  // [users]
  const ItemSignals* items = nullptr;  // [items]
  float* slots = nullptr;              // [n_slots x GateColumns::stride]
  int n_slots = 0;
};

namespace detail {

struct AlphaVisitor {
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
        if (first + k < Rule::n_params) lanes.add(gradient + first + k, upstream * alpha.slope[k]);
      }
    }
  }
};

struct ObjectiveVisitor {
  float alpha;
  const PairContext& pair;
  float slope = 0, weight = 0;
  template <class Objective>
  SLLMR_HD void operator()() {
    Dual<float, 1> seeded(alpha);
    seeded.slope[0] = 1.0F;
    slope = Objective::loss(seeded, pair).slope[0];
    if constexpr (requires { Objective::model_weight(alpha, pair); }) {
      weight = Objective::model_weight(alpha, pair);
    } else {
      weight = alpha;
    }
  }
};

}  // namespace detail

/// alpha(u, i) of the rule; in [0, 1].
SLLMR_HD inline float gate_alpha(const GateArgs& gate, const GateSignals& z) {
  detail::AlphaVisitor visitor{z, gate.theta};
  GateRules::visit(gate.rule, visitor);
  return visitor.alpha;
}

SLLMR_HD inline GateSignals gate_signals(const GateArgs& gate, Id user, Id item, float logit, float gap) {
  const UserSignals u = gate.users[user];
  const ItemSignals i = gate.items[item];
  GateSignals z;
  z.cold = u.cold;
  z.tail = i.tail;
  z.uncertainty = uncertainty_of(logit, gate.uncertainty);
  z.log_history = u.log_history;
  z.log_popularity = i.log_popularity;
  z.score_gap = gap;
  z.score_entropy = u.score_entropy;
  z.draw = 0;
  if (gate.uses_draw) {
    const std::uint64_t key = (static_cast<std::uint64_t>(user) << 32) | static_cast<std::uint32_t>(item);
    z.draw = uniform(philox(gate.seed, 0, key, Purpose::gate_rule).word[0]);
  }
  return z;
}

/// What a pair does to the model: its weight on the hinge, and the hinge.
struct GatedPair {
  float weight;  // of the hinge in the model's loss: lambda * alpha, or what the objective makes of it
  float hinge;
};

/// Gate, objective gradient and telemetry of one pair whose logits are known. `cosine`: see PairContext. Adds
/// to the group's slot; all lanes return the same.
template <class Lanes>
SLLMR_HD GatedPair gate_pair(Lanes lanes, const GateArgs& gate, float* slot, Id user, const LlmPair& pair,
                             float logit_a, float logit_b, float cosine, bool probe) {
  const GateSignals za = gate_signals(gate, user, pair.a, logit_a, pair.gap);
  const GateSignals zb = gate_signals(gate, user, pair.b, logit_b, pair.gap);
  const float alpha_a = gate_alpha(gate, za), alpha_b = gate_alpha(gate, zb);
  const float alpha = 0.5F * (alpha_a + alpha_b);
  const float slack = gate.margin - (logit_a - logit_b);
  const float hinge = probe ? 0.0F : slack < 0.0F ? 0.0F : slack;  // written so that a NaN logit stays NaN

  PairContext context;
  context.lambda = gate.lambda;
  context.hinge = hinge;
  context.cosine = cosine;
  context.probe = probe;
  context.agreement = pair.agreement;
  context.mean_alpha = gate.running[0];
  context.mean_hinge = gate.running[1];
  context.price = gate.price;
  context.budget_weight = gate.budget_weight;
  context.budget_target = gate.budget_target;
  detail::ObjectiveVisitor objective{alpha, context};
  GateObjectives::visit(gate.objective, objective);
  const bool teaches = !probe || gate.uses_probes;  // other objectives only count the probes' agreement
  if (teaches && objective.slope != 0.0F) {
    detail::SlopeVisitor<Lanes> a{lanes, za, gate.theta, 0.5F * objective.slope, slot + GateColumns::theta};
    GateRules::visit(gate.rule, a);
    detail::SlopeVisitor<Lanes> b{lanes, zb, gate.theta, 0.5F * objective.slope, slot + GateColumns::theta};
    GateRules::visit(gate.rule, b);
  }

  if (lanes.lane() == 0) {
    if (probe) {
      lanes.add(slot + GateColumns::probes, 1.0F);
      lanes.add(slot + GateColumns::agreement, pair.agreement);
    } else {
      float* bucket_a =
          slot + GateColumns::bucket + GateColumns::bucket_columns * (2 * (za.cold > 0) + (za.tail > 0));
      float* bucket_b =
          slot + GateColumns::bucket + GateColumns::bucket_columns * (2 * (zb.cold > 0) + (zb.tail > 0));
      lanes.add(bucket_a, 1.0F);
      lanes.add(bucket_a + 1, alpha_a);
      lanes.add(bucket_a + 2, alpha_a * alpha_a);
      lanes.add(bucket_b, 1.0F);
      lanes.add(bucket_b + 1, alpha_b);
      lanes.add(bucket_b + 2, alpha_b * alpha_b);
      lanes.add(slot + GateColumns::pairs, 1.0F);
      lanes.add(slot + GateColumns::pair_alpha, alpha);
      lanes.add(slot + GateColumns::pair_hinge, alpha * hinge);
      if (hinge > 0) lanes.add(slot + GateColumns::active, 1.0F);
    }
  }
  return {gate.lambda * objective.weight, hinge};
}

}  // namespace sllmr
