// Matrix factorisation: what one training row does to the tables. Shared by the fused and the exact step.
//
//   loss(row) = -log sigmoid(s(u,i) - s(u,j)) + lambda penalty(s(u,a), s(u,b)),  s(u,i) = U[u] . V[i]
//
// where the paper's penalty is alpha max(0, margin - (s(u,a) - s(u,b))).
//
// BPR: Rendle et al. 2009. The gradient on every item row is a number times U[u], so a row is described by
// its item ids and their coefficients. L2 belongs to the base loss: it acts on the triple's three rows, not
// on rows that only a pair touches, so that a gate that closes leaves the backbone as it is without the LLM.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/gates/gate.h"
#include "kernels/logit_loss.h"
#include "kernels/mf_args.h"

namespace sllmr {

/// One lane's share of a row of `Dim` numbers. On CUDA in registers, fours of neighbouring numbers where a
/// lane has as many; on the CPU the one lane reads the row where it lies.
template <int Dim, class Lanes, bool InPlace = Lanes::size == 1>
struct RowShare {
  static constexpr int n = Dim / Lanes::size;
  static constexpr bool fours = n % 4 == 0;
  float value[n];

  RowShare() = default;
  SLLMR_HD RowShare(Lanes lanes, const float* row) {
    if constexpr (fours) {
      SLLMR_ROW_LOOP
      for (int k = 0; k < n; k += 4) {
        const Four four = four_at(row, column(lanes, k));
        for (int j = 0; j < 4; ++j) value[k + j] = four.value[j];
      }
    } else {
      SLLMR_ROW_LOOP
      for (int k = 0; k < n; ++k) value[k] = row[column(lanes, k)];
    }
  }
  /// Where the lane's k-th number lies in the row.
  SLLMR_HD static int column(Lanes lanes, int k) {
    return fours ? k / 4 * (4 * Lanes::size) + 4 * lanes.lane() + k % 4 : k * Lanes::size + lanes.lane();
  }
  SLLMR_HD float operator[](int k) const { return value[k]; }
};
template <int Dim, class Lanes>
struct RowShare<Dim, Lanes, true> {
  static constexpr int n = Dim;
  static constexpr bool fours = false;
  const float* value;

  RowShare() = default;
  RowShare(Lanes, const float* row) : value(row) {}
  static int column(Lanes, int k) { return k; }
  float operator[](int k) const { return value[k]; }
};

/// Logits of two items for one user, in one pass over the user's row.
struct TwoLogits {
  float a, b;
};
template <int Dim, class Lanes>
SLLMR_INLINE TwoLogits logits_of(Lanes lanes, const RowShare<Dim, Lanes>& u, const float* row_a,
                                 const float* row_b) {
  const RowShare<Dim, Lanes> of_a(lanes, row_a), of_b(lanes, row_b);
  // Partial sums side by side: without them, float addition may not be reordered, and the CPU would add one
  // by one.
  constexpr int kParts = RowShare<Dim, Lanes>::n < 16 ? RowShare<Dim, Lanes>::n : 16;
  float a[kParts] = {}, b[kParts] = {};
  for (int first = 0; first < RowShare<Dim, Lanes>::n; first += kParts) {
    SLLMR_ROW_LOOP
    for (int k = 0; k < kParts; ++k) {
      a[k] += u[first + k] * of_a[first + k];
      b[k] += u[first + k] * of_b[first + k];
    }
  }
  return {lanes.sum(sum_of(a)), lanes.sum(sum_of(b))};
}

/// Cosine between two gradients on a row of `users`, along the differences of two pairs of item rows.
template <int Dim, class Lanes>
SLLMR_HD float cosine_of_differences(Lanes lanes, const TableView& users, const float* a, const float* b,
                                     const float* c, const float* d) {
  float xy = 0, xx = 0, yy = 0;
  const auto take = [&](int at) {
    const float x = a[at] - b[at], y = c[at] - d[at];
    xy += x * y;
    xx += x * x;
    yy += y * y;
  };
  if (!users.last_is_one) {
    for (int k = 0; k < Dim / Lanes::size; ++k) take(k * Lanes::size + lanes.lane());
  } else {
    for (int at = lanes.lane(); at < Dim - 1; at += Lanes::size) take(at);
  }
  xy = lanes.sum(xy);
  const float norms = lanes.sum(xx) * lanes.sum(yy);
  return norms == 0.0F ? 0.0F : xy / std::sqrt(norms);  // NaN stays NaN
}

/// What the backbone says of a selected row's pairs.
struct PairLogits {
  TwoLogits guide, probe;
  float cosine;  // see PairContext
};

template <int Dim, class Lanes>
SLLMR_INLINE PairLogits mf_pair_logits(Lanes lanes, const MfArgs& args, const RowPairs& pairs,
                                       const Triple& triple, const RowShare<Dim, Lanes>& u) {
  const float* table = args.items.weights;
  const auto row_of = [table](Id item) { return table + static_cast<std::int64_t>(item) * Dim; };
  PairLogits out{};
  if (pairs.guide.a != 0) {
    const float* va = row_of(pairs.guide.a);
    const float* vb = row_of(pairs.guide.b);
    out.guide = logits_of<Dim>(lanes, u, va, vb);
    if (args.gate.uses_cosine && !(out.guide.a - out.guide.b >= args.gate.margin)) {
      // Both gradients point against their difference.
      out.cosine = cosine_of_differences<Dim>(lanes, args.users, row_of(triple.positive),
                                              row_of(triple.negative), va, vb);
    }
  }
  if (pairs.probe.a != 0) {
    out.probe = logits_of<Dim>(lanes, u, row_of(pairs.probe.a), row_of(pairs.probe.b));
  }
  return out;
}

/// What guiding pair k adds to its row's gradients.
template <int Most>
SLLMR_HD void add_guide(Id a, Id b, const GatedPairs<Most>& gated, int k, ItemGradients& gradients) {
  if (!gated.pulls(k)) return;
  gradients.add(2, a, gated.push_a[k]);
  gradients.add(3, b, gated.push_b[k]);
}

/// The LLM's part of a selected row of `user`; `places` and `at`: where the rows of its ids lie. Probe pairs
/// only ever reach the gate.
template <int Dim, class Lanes>
SLLMR_HD void mf_pairs(Lanes lanes, const MfArgs& args, Id user, const RowPairs& pairs,
                       const RowPairs& places, const Triple& at, const RowShare<Dim, Lanes>& u, float* slot,
                       ItemGradients& gradients) {
  const PairLogits logits = mf_pair_logits<Dim>(lanes, args, places, at, u);
  for (int which = 0; which < 2; ++which) {
    const bool probe = which == 1;
    const LlmPair& pair = probe ? pairs.probe : pairs.guide;
    if (pair.a == 0) continue;
    const TwoLogits s = probe ? logits.probe : logits.guide;
    const GatedPairs<1> gated =
        gate_pair(lanes, args.gate, slot, user, pair, s.a, s.b, probe ? 0.0F : logits.cosine, probe);
    if (!probe) add_guide(places.guide.a, places.guide.b, gated, 0, gradients);
  }
}

/// -log sigmoid(margin), and sigmoid(-margin), how far a row still pushes its two items apart.
struct BprLoss {
  float loss, push;
};
SLLMR_INLINE BprLoss bpr_loss(float margin) {
  const float decay = exp_of(-std::fabs(margin));
  const LossAndSlope x = log_sigmoid_loss(margin, decay, log1p_of_share(decay));
  return {x.loss, -x.slope};
}

/// s(u,i) - s(u,j) of one training row. `u` is the user's row.
template <int Dim, class Lanes>
SLLMR_INLINE float mf_margin(Lanes lanes, const MfArgs& args, const Triple& triple,
                             const RowShare<Dim, Lanes>& u) {
  const float* table = args.items.weights;
  const TwoLogits s = logits_of<Dim>(lanes, u, table + static_cast<std::int64_t>(triple.positive) * Dim,
                                     table + static_cast<std::int64_t>(triple.negative) * Dim);
  return s.a - s.b;
}

/// Base loss of one training row; adds it to `slot`. Returns the push.
template <int Dim, class Lanes>
SLLMR_INLINE float mf_base(Lanes lanes, const MfArgs& args, const Triple& triple,
                           const RowShare<Dim, Lanes>& u, float* slot) {
  const BprLoss bpr = bpr_loss(mf_margin<Dim>(lanes, args, triple, u));
  if (lanes.lane() == 0) {
    slot[GateColumns::loss] += bpr.loss;
    slot[GateColumns::rows] += 1.0F;
  }
  return bpr.push;
}

}  // namespace sllmr
