// Pairs that pass the gate together, and what is counted of them.
#pragma once

#include <cmath>

#include "kernels/exec/loops.h"
#include "kernels/gates/columns.h"
#include "kernels/gates/gate_args.h"
#include "kernels/pair_sampler.h"

namespace sllmr {

/// Sums for a slot that wait until flush(), each in as many parts as pairs run side by side: a batch adds
/// whole vectors.
struct GateTally {
  static constexpr int parts = 8;
  // The gate's gradient and the few held-out probes go to the slot at once.
  static constexpr int first = GateColumns::bucket, last = GateColumns::reliability;

  float* slot;
  float part[last - first][parts] = {};

  SLLMR_INLINE void flush() {
    for (int column = first; column < last; ++column) {
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
  float score_a[Most], score_b[Most];  // see LlmPair
  float logit_a[Most], logit_b[Most];
  float cosine[Most];  // see PairContext
  float probe[Most];   // 1 or 0

  SLLMR_INLINE void add(Id of_user, const LlmPair& pair, float s_a, float s_b, float cosine_of_pair,
                        bool is_probe) {
    const int at = Most == 1 ? 0 : n;  // a constant keeps a single pair in registers
    user[at] = of_user;
    a[at] = pair.a;
    b[at] = pair.b;
    score_a[at] = pair.score_a;
    score_b[at] = pair.score_b;
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
        score_a[k] = score_b[k] = logit_a[k] = logit_b[k] = cosine[k] = probe[k] = 0;
      }
    }
  }
  SLLMR_INLINE float gap(int k) const { return std::fabs(score_a[k] - score_b[k]); }
  SLLMR_INLINE float agreement(int k) const { return agreement_of(score_a[k], score_b[k]); }
  /// body(k, index of k within its vector) of every pair, whole vectors of them.
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

/// One side of the pairs of a batch.
template <int Most>
struct GateSide {
  float cold[Most], tail[Most], uncertainty[Most];
  float alpha[Most] = {};
};

/// What a batch's pairs came to.
template <int Most>
struct PairSums {
  float alpha[Most] = {}, hinge[Most];
  float weight[Most] = {};  // in the model's loss over lambda
};

/// Adds a held-out probe pair to the reliability of alpha.
SLLMR_INLINE void count_reliability(float agreement, float alpha, float* slot) {
  if (agreement == 0.0F) return;
  float* columns = slot + GateColumns::reliability_of(alpha);
  columns[0] += 1.0F;
  columns[1] += alpha;
  columns[2] += agreement > 0.0F ? 1.0F : 0.0F;
}

/// Adds a pair to the telemetry of `slot`.
SLLMR_INLINE void count_pair(const GateBatch<1>& batch, const GateSide<1>& a, const GateSide<1>& b,
                             const PairSums<1>& pair, const GatedPairs<1>& gated, float* slot) {
  if (batch.probe[0] != 0.0F) {
    slot[GateColumns::probes] += 1.0F;
    slot[GateColumns::agreement] += batch.agreement(0);
    return;
  }
  for (const GateSide<1>* side : {&a, &b}) {
    float* columns = slot + GateColumns::bucket_of(side->cold[0] != 0.0F, side->tail[0] != 0.0F);
    columns[0] += 1.0F;
    columns[1] += side->alpha[0];
    columns[2] += side->alpha[0] * side->alpha[0];
    columns[3] += pair.weight[0];
  }
  slot[GateColumns::pairs] += 1.0F;
  slot[GateColumns::pair_alpha] += pair.alpha[0];
  slot[GateColumns::pair_hinge] += pair.alpha[0] * pair.hinge[0];
  slot[GateColumns::pair_weight] += pair.weight[0];
  slot[GateColumns::active] += gated.pulls(0) ? 1.0F : 0.0F;
}

/// The same of a batch, in vectors.
template <int Most>
SLLMR_INLINE void count_pairs(const GateBatch<Most>& batch, const GateSide<Most>& a, const GateSide<Most>& b,
                              const PairSums<Most>& pair, const GatedPairs<Most>& gated, GateTally& tally) {
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
      columns[3 * GateTally::parts + at] += (in_a + in_b) * pair.weight[k];
    });
  }
  float *const pairs = part(GateColumns::pairs), *const pair_alpha = part(GateColumns::pair_alpha),
               *const pair_hinge = part(GateColumns::pair_hinge), *const active = part(GateColumns::active),
               *const pair_weight = part(GateColumns::pair_weight), *const probes = part(GateColumns::probes),
               *const agreement = part(GateColumns::agreement);
  batch.for_each([&, n = batch.n](int k, int at) {
    const float counts = k < n ? 1.0F : 0.0F, probe = counts * batch.probe[k], guides = counts - probe;
    pairs[at] += guides;
    pair_alpha[at] += guides * pair.alpha[k];
    pair_hinge[at] += guides * (pair.alpha[k] * pair.hinge[k]);
    pair_weight[at] += guides * pair.weight[k];
    active[at] += guides * (gated.push_a[k] != 0.0F ? 1.0F : gated.push_b[k] != 0.0F ? 1.0F : 0.0F);
    probes[at] += probe;
    agreement[at] += probe * batch.agreement(k);
  });
}

}  // namespace sllmr
