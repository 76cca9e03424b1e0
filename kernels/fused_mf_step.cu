#include "kernels/fused_mf_step.h"

#include "kernels/exec/launch.h"
#include "kernels/optimizers.h"

namespace sllmr {

namespace {

/// Updates the user's row and the item rows in the first `Slots` slots from one pass over their old values.
template <int Dim, int Slots, class Optimizer, class Lanes>
SLLMR_INLINE void update_rows(Lanes lanes, const MfArgs& args, Id user, const RowShare<Dim, Lanes>& u,
                              const ItemGradients& gradients) {
  const float l2 = args.optimizer.l2;
  const Optimizer user_update(args.optimizer, args.users, user);
  const std::int64_t user_row = static_cast<std::int64_t>(user) * Dim;
  float user_gradient[RowShare<Dim, Lanes>::n];
  SLLMR_ROW_LOOP
  for (int k = 0; k < RowShare<Dim, Lanes>::n; ++k) user_gradient[k] = l2 * u[k];
  SLLMR_UNROLL
  for (int item = 0; item < Slots; ++item) {
    const Id id = gradients.item[item];
    const float decay = item < ItemGradients::base ? l2 : 0.0F;
    if (Slots > ItemGradients::base && id == 0) continue;
    const float factor = gradients.factor[item];
    const Optimizer item_update(args.optimizer, args.items, id);
    const std::int64_t item_row = static_cast<std::int64_t>(id) * Dim;
    SLLMR_ROW_LOOP
    for (int k = 0; k < RowShare<Dim, Lanes>::n; ++k) {
      const std::int64_t at = item_row + k * Lanes::size + lanes.lane();
      const float weight = args.items.weights[at];
      user_gradient[k] += factor * weight;
      item_update.step(lanes, args.items, at, weight, factor * u[k] + decay * weight);
    }
    item_update.finish(lanes, args.items, id);
  }
  SLLMR_ROW_LOOP
  for (int k = 0; k < RowShare<Dim, Lanes>::n; ++k) {
    user_update.step(lanes, args.users, user_row + k * Lanes::size + lanes.lane(), u[k], user_gradient[k]);
  }
  user_update.finish(lanes, args.users, user);
}

template <int Dim, class Optimizer, bool WithPairs>
struct FusedMfStep {
  MfArgs args;

  /// Rows that draw pairs wait for each other and are then taken side by side, as the way from logits through
  /// the gate to the gradients is long: one row's exponentials run while another's are under way.
  template <class Lanes>
  static constexpr int kMostWaiting = Lanes::prefetches ? 16 : 1;
  template <class Lanes>
  struct Waiting {
    std::int64_t row[kMostWaiting<Lanes>];
    const RowPairs* pairs[kMostWaiting<Lanes>];
    int n = 0;

    SLLMR_INLINE void add(std::int64_t k, const RowPairs* of_row) {
      const int at = kMostWaiting<Lanes> == 1 ? 0 : n;  // a constant keeps a single row in registers
      row[at] = k;
      pairs[at] = of_row;
      n = at + 1;
    }
  };

  template <class Lanes>
  SLLMR_INLINE void prefetch(const TableView& table, Id id) const {
    const char* row = reinterpret_cast<const char*>(table.weights + static_cast<std::int64_t>(id) * Dim);
    for (unsigned byte = 0; byte < Dim * sizeof(float); byte += 64) Lanes::prefetch(row + byte);
  }

  template <class Lanes>
  SLLMR_INLINE void prefetch_pairs(const RowPairs& pairs, Id user) const {
    Lanes::prefetch(args.gate.users + user);
    for (const LlmPair& pair : {pairs.guide, pairs.probe}) {
      for (const Id item : {pair.a, pair.b}) {
        if (item == 0) continue;
        prefetch<Lanes>(args.items, item);
        Lanes::prefetch(args.gate.items + item);
      }
    }
  }

  /// Asks for the rows of a later triple, to hide the last-level cache's latency where there are no other
  /// warps to do it.
  template <class Lanes>
  SLLMR_INLINE void prefetch_rows(std::int64_t k) const {
    const Triple& triple = args.triples[k];
    prefetch<Lanes>(args.users, triple.user);
    prefetch<Lanes>(args.items, triple.positive);
    prefetch<Lanes>(args.items, triple.negative);
  }

  template <class Lanes>
  SLLMR_INLINE RowShare<Dim, Lanes> user_row(Lanes lanes, Id user) const {
    return {lanes, args.users.weights + static_cast<std::int64_t>(user) * Dim};
  }

  template <class Lanes>
  SLLMR_INLINE void step(Lanes lanes, std::int64_t k, float* slot) const {
    const Triple triple = args.triples[k];
    const RowShare<Dim, Lanes> u = user_row(lanes, triple.user);
    const float push = mf_base<Dim>(lanes, args, triple, u, slot);
    update_rows<Dim, ItemGradients::base, Optimizer>(lanes, args, triple.user, u,
                                                     ItemGradients(triple, push));
  }

  template <class Lanes>
  SLLMR_RARE void step_waiting(Lanes lanes, Waiting<Lanes>& waiting, float* slot) const {
    constexpr int kMost = kMostWaiting<Lanes>;
    const int n = kMost == 1 ? 1 : waiting.n;
    RowShare<Dim, Lanes> u[kMost];
    PairLogits logits[kMost];
    float margin[kMost] = {}, loss[kMost], push[kMost];
    for (int m = 0; m < n; ++m) {
      const Triple triple = args.triples[waiting.row[m]];
      u[m] = user_row(lanes, triple.user);
      margin[m] = mf_margin<Dim>(lanes, args, triple, u[m]);
      logits[m] = mf_pair_logits<Dim>(lanes, args, *waiting.pairs[m], triple, u[m]);
    }
    side_by_side<kMost>([&](int m) {
      const BprLoss bpr = bpr_loss(margin[m]);
      loss[m] = m < n ? bpr.loss : 0.0F;
      push[m] = bpr.push;
    });
    if (lanes.lane() == 0) {
      lanes.add(slot + GateColumns::loss, sum_of(loss));
      lanes.add(slot + GateColumns::rows, static_cast<float>(n));
    }
    ItemGradients gradients[kMost];
    for (int m = 0; m < n; ++m) gradients[m] = ItemGradients(args.triples[waiting.row[m]], push[m]);
    pass_gate(lanes, waiting, n, logits, slot, gradients);
    for (int m = 0; m < n; ++m) {
      update_rows<Dim, ItemGradients::most, Optimizer>(lanes, args, args.triples[waiting.row[m]].user, u[m],
                                                       gradients[m]);
    }
    waiting.n = 0;
  }

  /// Takes guiding and probe pairs through the gate. Probe pairs only ever reach the gate.
  template <class Lanes>
  SLLMR_INLINE void pass_gate(Lanes lanes, const Waiting<Lanes>& waiting, int n, const PairLogits* logits,
                              float* slot, ItemGradients* gradients) const {
    constexpr int kSide = Lanes::prefetches ? 32 : 1;
    GateBatch<kSide> batch;
    int row[kSide];
    const auto pass = [&] {
      GatedPair gated[kSide];
      gate_pairs(lanes, args.gate, slot, batch, gated);
      for (int k = 0; k < kSide && k < batch.n; ++k) {
        if (batch.probe[k] == 0) add_guide(batch.a[k], batch.b[k], gated[k], gradients[row[k]]);
      }
      batch.n = 0;
    };
    for (int m = 0; m < n; ++m) {
      for (int which = 0; which < 2; ++which) {
        const bool probe = which == 1;
        const LlmPair& pair = probe ? waiting.pairs[m]->probe : waiting.pairs[m]->guide;
        if (pair.a == 0) continue;
        const TwoLogits& s = probe ? logits[m].probe : logits[m].guide;
        row[kSide == 1 ? 0 : batch.n] = m;
        batch.add(args.triples[waiting.row[m]].user, pair, s.a, s.b, probe ? 0.0F : logits[m].cosine, probe);
        if (batch.n == kSide) pass();
      }
    }
    if constexpr (kSide > 1) {
      if (batch.n > 0) pass();
    }
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t first, std::int64_t count) const {
    constexpr std::int64_t kAhead = 6;
    float* slot =
        args.gate.slots + static_cast<std::int64_t>(lanes.slot(args.gate.n_slots)) * GateColumns::stride;
    [[maybe_unused]] Waiting<Lanes> waiting;
    [[maybe_unused]] PairCursor pairs(args, WithPairs ? first : 0);
    for (std::int64_t k = first; k < first + count; ++k) {
      if constexpr (Lanes::prefetches) {
        if (k + kAhead < args.rows) prefetch_rows<Lanes>(k + kAhead);
      }
      if constexpr (WithPairs) {
        const RowPairs* of_row = pairs.next();
        if (of_row != nullptr && (of_row->guide.a != 0 || of_row->probe.a != 0)) {
          if constexpr (Lanes::prefetches) prefetch_pairs<Lanes>(*of_row, args.triples[k].user);
          waiting.add(k, of_row);
          if (waiting.n == kMostWaiting<Lanes>) step_waiting(lanes, waiting, slot);
          continue;
        }
      }
      step(lanes, k, slot);
    }
    if constexpr (WithPairs) {
      if (waiting.n > 0) step_waiting(lanes, waiting, slot);
    }
  }
};

/// Rows that may wait for each other: enough for a full group where one row in eight draws a pair.
constexpr std::int64_t kBatchRows = 128;

template <int Dim, class Optimizer>
void run(const Context& context, const MfArgs& args) {
  if (args.pairs != nullptr) {
    launch_batches<32>(context, "fused_mf_step", args.rows, kBatchRows,
                       FusedMfStep<Dim, Optimizer, true>{args});
  } else {
    launch_batches<32>(context, "fused_mf_step", args.rows, kBatchRows,
                       FusedMfStep<Dim, Optimizer, false>{args});
  }
}

template <int Dim>
void run(const Context& context, OptimizerKind optimizer, const MfArgs& args) {
  switch (optimizer) {
    case OptimizerKind::sgd:
      return run<Dim, Sgd>(context, args);
    case OptimizerKind::adagrad:
      return run<Dim, Adagrad>(context, args);
    case OptimizerKind::lazy_adam:
      return run<Dim, LazyAdam>(context, args);
    case OptimizerKind::adam:
      break;
  }
  throw Error("fused_mf_step: dense Adam updates every row each step: use train.mode=exact, or lazy_adam");
}

}  // namespace

void fused_mf_step_on(OnThisDevice, const Context& context, int width, OptimizerKind optimizer,
                      const MfArgs& args) {
  require(args.gate.n_slots > 0, "fused_mf_step: no accumulator slots");
  for_mf_width(width, [&](auto dim) { run<dim>(context, optimizer, args); });
}

}  // namespace sllmr
