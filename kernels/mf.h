// Matrix factorisation: tables, and what one training row does to them. Shared by the fused and the exact
// step.
//
//   loss(row) = -log sigmoid(s(u,i) - s(u,j)) + lambda w(alpha) max(0, margin - (s(u,a) - s(u,b))),  s(u,i) =
//   U[u] . V[i]
//
// BPR: Rendle et al. 2009. The gradient on every item row is a number times U[u], so a row is described by
// its item ids and their coefficients. L2 belongs to the base loss: it acts on the triple's three rows, not
// on rows that only a pair touches, so that a gate that closes leaves the backbone as it is without the LLM.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/exec/error.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/types.h"
#include "kernels/gates/gate.h"
#include "kernels/pair_sampler.h"
#include "kernels/triple_sampler.h"

namespace sllmr {

/// Calls function(std::integral_constant<int, width>) for the widths that have kernels; throws Error for
/// others.
template <class Function>
void for_mf_width(int width, Function&& function) {
  switch (width) {
    case 32:
      return function(std::integral_constant<int, 32>{});
    case 64:
      return function(std::integral_constant<int, 64>{});
    case 128:
      return function(std::integral_constant<int, 128>{});
    case 256:
      return function(std::integral_constant<int, 256>{});
    default:
      throw Error("model.width = " + std::to_string(width) + " has no kernel: use 32, 64, 128 or 256");
  }
}

enum class OptimizerKind : int { sgd, adagrad, lazy_adam, adam };

/// Adagrad: eps 1e-10; Adam: betas .9 and .999, eps 1e-8 (PyTorch's defaults).
struct OptimizerArgs {
  float learning_rate = 0;
  float l2 = 0;
};

/// An embedding table [rows x width] and its optimiser state on the device.
struct TableView {
  float* weights = nullptr;
  float* first = nullptr;         // Adagrad: sum of squares; Adam: m
  float* second = nullptr;        // Adam: v
  std::int32_t* steps = nullptr;  // lazy Adam: updates of each row so far
};

/// A stretch of training rows.
struct MfArgs {
  TableView users, items;
  const Triple* triples = nullptr;  // [rows of this launch]
  std::int64_t rows = 0;
  std::int64_t first_row = 0;  // of this launch within the epoch
  OptimizerArgs optimizer;
  const RowPairs* pairs = nullptr;  // of the selected rows, from sample_pairs; null: the base loss alone
  Share pair_rate;                  // which rows are selected
  GateArgs gate;                    // its slots take the base loss in any case
};

/// One lane's share of a row of `Dim` numbers. On CUDA neighbouring lanes hold neighbouring numbers, in
/// registers; on the CPU the one lane reads the row where it lies.
template <int Dim, class Lanes>
struct RowShare {
  static constexpr int n = Dim / Lanes::size;
  float value[n];

  SLLMR_HD RowShare(Lanes lanes, const float* row) {
    SLLMR_ROW_LOOP
    for (int k = 0; k < n; ++k) value[k] = row[k * Lanes::size + lanes.lane()];
  }
  SLLMR_HD float operator[](int k) const { return value[k]; }
};

template <int Dim, class Lanes>
SLLMR_HD float dot(Lanes lanes, const RowShare<Dim, Lanes>& x, const float* row) {
  float sum = 0;
  SLLMR_SUM_LOOP(sum)
  for (int k = 0; k < RowShare<Dim, Lanes>::n; ++k) sum += x[k] * row[k * Lanes::size + lanes.lane()];
  return lanes.sum(sum);
}

/// Products among the difference vectors of two item pairs, for the cosine between two user-row gradients.
template <int Dim, class Lanes>
SLLMR_HD float cosine_of_differences(Lanes lanes, const float* a, const float* b, const float* c,
                                     const float* d) {
  float xy = 0, xx = 0, yy = 0;
  SLLMR_SUM_LOOP(xy, xx, yy)
  for (int k = 0; k < Dim / Lanes::size; ++k) {
    const int at = k * Lanes::size + lanes.lane();
    const float x = a[at] - b[at], y = c[at] - d[at];
    xy += x * y;
    xx += x * x;
    yy += y * y;
  }
  xy = lanes.sum(xy);
  const float norms = lanes.sum(xx) * lanes.sum(yy);
  return norms > 0 ? xy / std::sqrt(norms) : 0.0F;
}

/// The item rows that a training row touches, each once, and the factor of U[u] in each one's gradient. Slots
/// 0 and 1 are the triple's items, 2 and 3 the pair's; an unused slot has item 0. All indexes are constants,
/// so on CUDA the slots live in registers.
struct ItemGradients {
  static constexpr int base = 2, most = 4;
  Id item[most] = {};
  float factor[most] = {};

  /// Adds `x` to the factor of `id`, in the triple's slot if it is one of the triple's items, else in `slot`.
  SLLMR_HD void add(int slot, Id id, float x) {
    if (id == item[0]) {
      factor[0] += x;
    } else if (id == item[1]) {
      factor[1] += x;
    } else {
      item[slot] = id;
      factor[slot] = x;
    }
  }
  SLLMR_HD bool has_pair() const { return item[2] != 0 || item[3] != 0; }
};

/// Where the pairs of a selected row of the epoch lie in args.pairs.
SLLMR_HD inline std::int64_t pair_index(const MfArgs& args, std::uint64_t row) {
  return static_cast<std::int64_t>(args.pair_rate.count_before(row) -
                                   args.pair_rate.count_before(static_cast<std::uint64_t>(args.first_row)));
}

/// Loss, gate and gradient factors of row `k` of the launch. Adds the gate's gradient and telemetry to
/// `slot`. Probe pairs only ever reach the gate. `u` is the user's row.
template <int Dim, bool WithPairs, class Lanes>
SLLMR_HD ItemGradients mf_row(Lanes lanes, const MfArgs& args, std::int64_t k, const Triple& triple,
                              const RowShare<Dim, Lanes>& u, float* slot) {
  const float* table = args.items.weights;
  const auto row_of = [table](Id item) { return table + static_cast<std::int64_t>(item) * Dim; };
  const float* vi = row_of(triple.positive);
  const float* vj = row_of(triple.negative);
  const float margin = dot(lanes, u, vi) - dot(lanes, u, vj);
  // -log sigmoid(x) = max(-x, 0) + log(1 + exp(-|x|)), which cannot overflow.
  const float decay = std::exp(-std::fabs(margin));
  const float push = margin > 0 ? decay / (1.0F + decay) : 1.0F / (1.0F + decay);  // sigmoid(-margin)
  if (lanes.lane() == 0) {
    lanes.add(slot + GateColumns::loss, (margin > 0 ? 0.0F : -margin) + std::log(1.0F + decay));
    lanes.add(slot + GateColumns::rows, 1.0F);
  }
  ItemGradients gradients;
  gradients.item[0] = triple.positive;
  gradients.factor[0] = -push;
  gradients.item[1] = triple.negative;
  gradients.factor[1] = push;

  if constexpr (WithPairs) {
    const auto row = static_cast<std::uint64_t>(args.first_row + k);
    if (!args.pair_rate.selects(row)) return gradients;
    const RowPairs& pairs = args.pairs[pair_index(args, row)];
    const LlmPair guide = pairs.guide, probe = pairs.probe;
    if (guide.a != 0) {
      const float* va = row_of(guide.a);
      const float* vb = row_of(guide.b);
      const float sa = dot(lanes, u, va), sb = dot(lanes, u, vb);
      float cosine = 0;
      if (args.gate.uses_cosine && args.gate.margin > sa - sb) {
        cosine = cosine_of_differences<Dim>(lanes, vi, vj, va,
                                            vb);  // both gradients point against their difference
      }
      const GatedPair gated = gate_pair(lanes, args.gate, slot, triple.user, guide, sa, sb, cosine, false);
      if (gated.hinge > 0 && gated.weight != 0) {
        gradients.add(2, guide.a, -gated.weight);
        gradients.add(3, guide.b, gated.weight);
      }
    }
    if (probe.a != 0) {
      gate_pair(lanes, args.gate, slot, triple.user, probe, dot(lanes, u, row_of(probe.a)),
                dot(lanes, u, row_of(probe.b)), 0.0F, true);
    }
  }
  return gradients;
}

}  // namespace sllmr
