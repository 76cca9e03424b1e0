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
  /// First column of the bucket of a user and an item.
  SLLMR_HD static constexpr int bucket_of(bool cold, bool tail) {
    return bucket + bucket_columns * ((cold ? 2 : 0) + (tail ? 1 : 0));
  }
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

/// What a pair does to the model: its weight on the hinge, and the hinge.
struct GatedPair {
  float weight;  // of the hinge in the model's loss: lambda * alpha, or what the objective makes of it
  float hinge;
};

/// Sums for a slot that wait until flush(), each in as many parts as pairs run side by side: a batch adds
/// whole vectors.
struct GateTally {
  static constexpr int parts = 8;
  static constexpr int first = GateColumns::bucket;  // the gate's gradient goes to the slot at once

  float* slot;
  float part[GateColumns::used - first][parts] = {};

  SLLMR_INLINE void flush() {
    for (int column = first; column < GateColumns::used; ++column) {
      slot[column] += sum_of(part[column - first]);
    }
  }
};
SLLMR_INLINE float* slot_of(float* slot) {
  return slot;
}
SLLMR_INLINE float* slot_of(const GateTally& tally) {
  return tally.slot;
}

/// Up to `Most` pairs that pass the gate side by side, by column; the first `n` count. On the CPU the
/// arithmetic of several runs in vectors; with `Most` = 1 a pair is alone.
template <int Most>
struct GateBatch {
  static constexpr int vector = Most % GateTally::parts == 0 ? GateTally::parts : 1;

  int n = 0;
  Id user[Most], a[Most], b[Most];
  float gap[Most], agreement[Most];  // see LlmPair
  float logit_a[Most], logit_b[Most];
  float cosine[Most];  // see PairContext
  float probe[Most];   // 1 or 0

  SLLMR_INLINE void add(Id of_user, const LlmPair& pair, float s_a, float s_b, float cosine_of_pair,
                        bool is_probe) {
    const int at = Most == 1 ? 0 : n;  // a constant keeps a single pair in registers
    user[at] = of_user;
    a[at] = pair.a;
    b[at] = pair.b;
    gap[at] = pair.gap;
    agreement[at] = pair.agreement;
    logit_a[at] = s_a;
    logit_b[at] = s_b;
    cosine[at] = cosine_of_pair;
    probe[at] = is_probe ? 1.0F : 0.0F;
    n = at + 1;
  }
  /// Fills the last vector up with pairs that do no harm.
  SLLMR_INLINE void pad() {
    if constexpr (Most > 1) {
      for (int k = n; k % vector != 0; ++k) {
        user[k] = user[0];
        a[k] = a[0];
        b[k] = b[0];
        gap[k] = agreement[k] = logit_a[k] = logit_b[k] = cosine[k] = probe[k] = 0;
      }
    }
  }
  /// body(k, place of k in its vector) of every pair, whole vectors of them.
  template <class Body>
  SLLMR_INLINE void for_each(Body&& body) const {
    if constexpr (Most == 1) {
      body(0, 0);
    } else {
      for (int first = 0; first < n; first += vector) {
        side_by_side<vector>([&](int k) { body(first + k, k); });
      }
    }
  }
};

/// Signals of one (user, item), but for its uncertainty, which is up to the logit: 0.
SLLMR_INLINE GateSignals gate_signals(const GateArgs& gate, Id user, Id item, float gap) {
  const UserSignals u = gate.users[user];
  const ItemSignals i = gate.items[item];
  float draw = 0;
  if (gate.uses_draw) {
    const std::uint64_t key = (static_cast<std::uint64_t>(user) << 32) | static_cast<std::uint32_t>(item);
    draw = uniform(philox(gate.seed, 0, key, Purpose::gate_rule).word[0]);
  }
  return {u.cold, i.tail, 0, u.log_history, i.log_popularity, gap, u.score_entropy, draw};
}

namespace detail {

/// One side of the pairs of a batch.
template <int Most>
struct GateSide {
  float cold[Most], tail[Most], uncertainty[Most];
  float alpha[Most] = {};
};

template <int Most>
struct AlphaVisitor {
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
      put(z_a, k, a, of_a);
      put(z_b, k, b, of_b);
    }
    run<Rule>(of_a, a);
    run<Rule>(of_b, b);
  }

 private:
  /// Columns that the rule does not read are not made.
  struct Columns {
    float log_history[Most], log_popularity[Most], score_entropy[Most], draw[Most];
  };

  static SLLMR_INLINE void put(const GateSignals& z, int k, GateSide<Most>& side, Columns& columns) {
    side.cold[k] = z.cold;
    side.tail[k] = z.tail;
    columns.log_history[k] = z.log_history;
    columns.log_popularity[k] = z.log_popularity;
    columns.score_entropy[k] = z.score_entropy;
    columns.draw[k] = z.draw;
  }

  template <class Rule>
  SLLMR_INLINE void run(const Columns& columns, GateSide<Most>& side) {
    batch.for_each([&, theta = gate.theta, gap = batch.gap](int k, int) {
      const GateSignals z{side.cold[k],
                          side.tail[k],
                          side.uncertainty[k],
                          columns.log_history[k],
                          columns.log_popularity[k],
                          gap[k],
                          columns.score_entropy[k],
                          columns.draw[k]};
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

/// Adds a pair to the telemetry of `slot`.
SLLMR_INLINE void count_pair(const GateBatch<1>& batch, const GateSide<1>& a, const GateSide<1>& b,
                             const float* alpha, const float* hinge, float* slot) {
  if (batch.probe[0] != 0.0F) {
    slot[GateColumns::probes] += 1.0F;
    slot[GateColumns::agreement] += batch.agreement[0];
    return;
  }
  for (const GateSide<1>* side : {&a, &b}) {
    float* columns = slot + GateColumns::bucket_of(side->cold[0] != 0.0F, side->tail[0] != 0.0F);
    columns[0] += 1.0F;
    columns[1] += side->alpha[0];
    columns[2] += side->alpha[0] * side->alpha[0];
  }
  slot[GateColumns::pairs] += 1.0F;
  slot[GateColumns::pair_alpha] += alpha[0];
  slot[GateColumns::pair_hinge] += alpha[0] * hinge[0];
  slot[GateColumns::active] += hinge[0] > 0.0F ? 1.0F : 0.0F;
}

/// The same of a batch, in vectors.
template <int Most>
SLLMR_INLINE void count_pairs(const GateBatch<Most>& batch, const GateSide<Most>& a, const GateSide<Most>& b,
                              const float* alpha, const float* hinge, GateTally& tally) {
  static_assert(GateBatch<Most>::vector == GateTally::parts);
  const auto part = [&tally](int column) { return tally.part[column - GateTally::first]; };
  // Shares of 0 and 1 instead of conditions, which the compiler would branch on.
  for (int bucket = 0; bucket < 4; ++bucket) {
    float* columns = part(GateColumns::bucket + GateColumns::bucket_columns * bucket);
    const float cold = bucket / 2 != 0 ? 1.0F : 0.0F, tail = bucket % 2 != 0 ? 1.0F : 0.0F;
    batch.for_each([&, n = batch.n](int k, int at) {
      const float guides = (k < n ? 1.0F : 0.0F) * (1.0F - batch.probe[k]);
      const float in_a = guides * (a.cold[k] == cold ? 1.0F : 0.0F) * (a.tail[k] == tail ? 1.0F : 0.0F);
      const float in_b = guides * (b.cold[k] == cold ? 1.0F : 0.0F) * (b.tail[k] == tail ? 1.0F : 0.0F);
      columns[at] += in_a + in_b;
      columns[GateTally::parts + at] += in_a * a.alpha[k] + in_b * b.alpha[k];
      columns[2 * GateTally::parts + at] +=
          in_a * (a.alpha[k] * a.alpha[k]) + in_b * (b.alpha[k] * b.alpha[k]);
    });
  }
  float *const pairs = part(GateColumns::pairs), *const pair_alpha = part(GateColumns::pair_alpha),
               *const pair_hinge = part(GateColumns::pair_hinge), *const active = part(GateColumns::active),
               *const probes = part(GateColumns::probes), *const agreement = part(GateColumns::agreement);
  batch.for_each([&, n = batch.n](int k, int at) {
    const float counts = k < n ? 1.0F : 0.0F, probe = counts * batch.probe[k], guides = counts - probe;
    pairs[at] += guides;
    pair_alpha[at] += guides * alpha[k];
    pair_hinge[at] += guides * (alpha[k] * hinge[k]);
    active[at] += guides * (hinge[k] > 0.0F ? 1.0F : 0.0F);
    probes[at] += probe;
    agreement[at] += probe * batch.agreement[k];
  });
}

}  // namespace detail

/// alpha(u, i) of the rule; in [0, 1].
SLLMR_HD inline float gate_alpha(const GateArgs& gate, const GateSignals& z) {
  detail::OneAlphaVisitor visitor{z, gate.theta};
  GateRules::visit(gate.rule, visitor);
  return visitor.alpha;
}

/// Gate, objective gradient and telemetry of the pairs of `batch`, whose logits are known. Adds to `tally`
/// (of a pair alone the group's slot, else a GateTally) and writes gated[0 .. n-1]; all lanes return the
/// same. `Rules`: has gate.rule.
template <class Rules = EveryPart, int Most, class Lanes, class Tally>
SLLMR_HD void gate_pairs(Lanes lanes, const GateArgs& gate, Tally&& tally, GateBatch<Most>& batch,
                         GatedPair* gated) {
  batch.pad();
  detail::GateSide<Most> a, b;
  if (gate.uncertainty == Uncertainty::confidence) {
    batch.for_each([&](int k, int) {
      a.uncertainty[k] = uncertainty_of(batch.logit_a[k], Uncertainty::confidence);
      b.uncertainty[k] = uncertainty_of(batch.logit_b[k], Uncertainty::confidence);
    });
  } else {
    // Padding included: every place of a vector is read below.
    batch.for_each([&](int k, int) {
      a.uncertainty[k] = uncertainty_of(batch.logit_a[k], Uncertainty::entropy);
      b.uncertainty[k] = uncertainty_of(batch.logit_b[k], Uncertainty::entropy);
    });
  }
  detail::AlphaVisitor<Most> rule{gate, batch, a, b};
  GateRules::visit<Rules>(gate.rule, rule);
  float alpha[Most], hinge[Most], slope[Most] = {}, weight[Most] = {};
  batch.for_each([&](int k, int) {
    alpha[k] = 0.5F * (a.alpha[k] + b.alpha[k]);
    const float slack = gate.margin - (batch.logit_a[k] - batch.logit_b[k]);
    const float positive = slack < 0.0F ? 0.0F : slack;  // written so that a NaN logit stays NaN
    hinge[k] = batch.probe[k] != 0.0F ? 0.0F : positive;
  });
  detail::ObjectiveVisitor<Most> objective{gate, batch, alpha, hinge, slope, weight};
  GateObjectives::visit(gate.objective, objective);

  for (int k = 0; k < Most && k < batch.n; ++k) {
    gated[k] = {gate.lambda * weight[k], hinge[k]};
    // Other objectives only count the probes' agreement.
    if (slope[k] == 0.0F || (batch.probe[k] != 0.0F && !gate.uses_probes)) continue;
    for (int side = 0; side < 2; ++side) {
      const bool second = side == 1;
      GateSignals z = gate_signals(gate, batch.user[k], second ? batch.b[k] : batch.a[k], batch.gap[k]);
      z.uncertainty = second ? b.uncertainty[k] : a.uncertainty[k];
      detail::SlopeVisitor<Lanes> visitor{lanes, z, gate.theta, 0.5F * slope[k],
                                          slot_of(tally) + GateColumns::theta};
      GateRules::visit<Rules>(gate.rule, visitor);
    }
  }
  if (lanes.lane() != 0) return;
  if constexpr (Most == 1) {
    detail::count_pair(batch, a, b, alpha, hinge, tally);
  } else {
    detail::count_pairs(batch, a, b, alpha, hinge, tally);
  }
}

/// The same of one pair.
template <class Rules = EveryPart, class Lanes>
SLLMR_HD GatedPair gate_pair(Lanes lanes, const GateArgs& gate, float* slot, Id user, const LlmPair& pair,
                             float logit_a, float logit_b, float cosine, bool probe) {
  GateBatch<1> batch;
  batch.add(user, pair, logit_a, logit_b, cosine, probe);
  GatedPair gated;
  gate_pairs<Rules>(lanes, gate, slot, batch, &gated);
  return gated;
}

}  // namespace sllmr
