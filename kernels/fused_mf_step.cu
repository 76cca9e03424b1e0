#include "kernels/fused_mf_step.h"

#include <utility>

#include "kernels/exec/launch.h"
#include "kernels/optimizers.h"

namespace sllmr {

namespace {

/// Steps row `id` of `table`, whose old values are `weights`; gradient(k) is that of the lane's k-th number.
template <int Dim, class Optimizer, class Lanes, class Gradient>
SLLMR_INLINE void step_row(Lanes lanes, const Optimizer& update, const TableView& table, Id id,
                           const RowShare<Dim, Lanes>& weights, const Gradient& gradient) {
  using Share = RowShare<Dim, Lanes>;
  const std::int64_t row = static_cast<std::int64_t>(id) * Dim;
  if constexpr (Share::fours) {
    SLLMR_ROW_LOOP
    for (int k = 0; k < Share::n; k += 4) {
      const Four weight{weights[k], weights[k + 1], weights[k + 2], weights[k + 3]};
      const Four of_weight{gradient(k), gradient(k + 1), gradient(k + 2), gradient(k + 3)};
      update.step(lanes, table, row + Share::column(lanes, k), weight, of_weight);
    }
  } else {
    SLLMR_ROW_LOOP
    for (int k = 0; k < Share::n; ++k) {
      update.step(lanes, table, row + Share::column(lanes, k), weights[k], gradient(k));
    }
  }
  update.finish(lanes, table, id);
}

/// Updates the user's row and the item rows in the first `Slots` slots from one pass over their old values.
template <int Dim, int Slots, class Optimizer, class Lanes>
SLLMR_INLINE void update_rows_in_turn(Lanes lanes, const MfArgs& args, Id user, const RowShare<Dim, Lanes>& u,
                                      const ItemGradients& gradients) {
  using Share = RowShare<Dim, Lanes>;
  const float l2 = args.optimizer.l2;
  float user_gradient[Share::n];
  SLLMR_ROW_LOOP
  for (int k = 0; k < Share::n; ++k) user_gradient[k] = l2 * u[k];
  SLLMR_UNROLL
  for (int item = 0; item < Slots; ++item) {
    const Id id = gradients.item[item];
    const float decay = item < ItemGradients::base ? l2 : 0.0F;
    if (Slots > ItemGradients::base && id == 0) continue;
    const float factor = gradients.factor[item];
    const Share v(lanes, args.items.weights + static_cast<std::int64_t>(id) * Dim);
    step_row<Dim>(lanes, Optimizer(args.optimizer, args.items, id), args.items, id, v, [&](int k) {
      user_gradient[k] += factor * v[k];
      return factor * u[k] + decay * v[k];
    });
  }
  step_row<Dim>(lanes, Optimizer(args.optimizer, args.users, user), args.users, user, u,
                [&](int k) { return user_gradient[k]; });
}

/// The item row in slot `Slot` on its way through update_columns().
template <int Dim, int Slot, class Optimizer>
struct ItemUpdate {
  Optimizer update;
  TableView table;
  Id id;
  std::int64_t row;
  float factor, l2;

  SLLMR_INLINE ItemUpdate(const MfArgs& args, const ItemGradients& gradients)
      : update(args.optimizer, args.items, gradients.item[Slot]),
        table(args.items),
        id(gradients.item[Slot]),
        row(static_cast<std::int64_t>(id) * Dim),
        factor(gradients.factor[Slot]),
        l2(args.optimizer.l2) {}
  SLLMR_INLINE float value(int k) const { return table.weights[row + k]; }
  /// Steps column `k`, where the user's row has `u` and this one `v`.
  template <class Lanes>
  SLLMR_INLINE void step(Lanes lanes, int k, float u, float v) const {
    update.step(lanes, table, row + k, v, Slot < ItemGradients::base ? factor * u + l2 * v : factor * u);
  }
};

/// update_rows() column by column through all rows: the user's gradient needs one number at a time.
template <int Dim, class Optimizer, class Lanes, class... Items>
SLLMR_INLINE void update_columns(Lanes lanes, const MfArgs& args, Id user, const Items... items) {
  const TableView users = args.users;
  const float l2 = args.optimizer.l2;
  const Optimizer update(args.optimizer, users, user);
  const std::int64_t row = static_cast<std::int64_t>(user) * Dim;
  SLLMR_ROW_LOOP
  for (int k = 0; k < Dim; ++k) {
    const float u = users.weights[row + k];
    // All are read before any is written: the compiler cannot know that no two rows are the same.
    [&](const auto... v) {
      float gradient = l2 * u;
      ((gradient += items.factor * v), ...);
      (items.step(lanes, k, u, v), ...);
      update.step(lanes, users, row + k, u, gradient);
    }(items.value(k)...);
  }
  (items.update.finish(lanes, items.table, items.id), ...);
  update.finish(lanes, users, user);
}

/// Updates the rows of a training row. On the CPU by columns, as rows in turn would keep the user's gradient
/// in memory; but not where a pair leaves a slot unused: it has no gradient, or shares an item with the
/// triple.
template <int Dim, int Slots, class Optimizer, class Lanes>
SLLMR_INLINE void update_rows(Lanes lanes, const MfArgs& args, Id user, const RowShare<Dim, Lanes>& u,
                              const ItemGradients& gradients) {
  if constexpr (Lanes::size == 1) {
    if (Slots == ItemGradients::base || (gradients.item[2] != 0 && gradients.item[3] != 0)) {
      [&]<int... slots>(std::integer_sequence<int, slots...>) {
        update_columns<Dim, Optimizer>(lanes, args, user,
                                       ItemUpdate<Dim, slots, Optimizer>(args, gradients)...);
      }
      (std::make_integer_sequence<int, Slots>{});
      return;
    }
  }
  update_rows_in_turn<Dim, Slots, Optimizer>(lanes, args, user, u, gradients);
}

template <int Dim, class Lanes>
SLLMR_INLINE RowShare<Dim, Lanes> user_row(Lanes lanes, const MfArgs& args, Id user) {
  return {lanes, args.users.weights + static_cast<std::int64_t>(user) * Dim};
}

/// The base loss alone.
template <int Dim, class Optimizer, class Lanes>
SLLMR_INLINE void plain_step(Lanes lanes, const MfArgs& args, const Triple& triple, float* tally) {
  const RowShare<Dim, Lanes> u = user_row<Dim>(lanes, args, triple.user);
  const float push = mf_base<Dim>(lanes, args, triple, u, tally);
  update_rows<Dim, ItemGradients::base, Optimizer>(lanes, args, triple.user, u, ItemGradients(triple, push));
}

/// Item: a row. Those that draw pairs are left to FusedMfStepWithPairs.
template <int Dim, class Optimizer>
struct FusedMfStep {
  static constexpr int blocks_at_once = Dim > 128 ? 3 : std::is_same_v<Optimizer, Sgd> ? 8 : 4;
  MfArgs args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k, float* tally) const {
    if (args.pairs != nullptr && args.pair_rate.selects(static_cast<std::uint64_t>(args.first_row + k)))
      return;
    plain_step<Dim, Optimizer>(lanes, args, args.triples[k], tally);
  }
};

/// Item: a row that draws pairs, by its ordinal among such rows of the launch. `Rules`: has the gate's.
template <int Dim, class Optimizer, class Rules>
struct FusedMfStepWithPairs {
  static constexpr bool narrow = Dim <= 64 && std::is_same_v<Rules, NarrowRules>;
  static constexpr int blocks_at_once = !narrow ? 2 : std::is_same_v<Optimizer, Sgd> ? 4 : 3;
  MfArgs args;
  double gap;  // of args.pair_rate

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k, float* tally) const {
    const std::uint64_t ordinal = args.pair_rate.count_before(static_cast<std::uint64_t>(args.first_row)) +
                                  static_cast<std::uint64_t>(k);
    const Triple triple =
        args.triples[static_cast<std::int64_t>(args.pair_rate.row_of(ordinal, gap)) - args.first_row];
    const RowShare<Dim, Lanes> u = user_row<Dim>(lanes, args, triple.user);
    ItemGradients gradients(triple, mf_base<Dim>(lanes, args, triple, u, tally));
    mf_pairs<Dim, Rules>(lanes, args, args.pairs[k], triple, u, tally, gradients);
    update_rows<Dim, ItemGradients::most, Optimizer>(lanes, args, triple.user, u, gradients);
  }
};

std::int64_t rows_with_pairs(const MfArgs& args) {
  return args.pairs == nullptr ? 0 : args.pair_rate.count(args.first_row, args.rows);
}

template <int Dim, class Optimizer, class Rules>
void run_side_by_side(const Context& context, const MfArgs& args) {
  constexpr int kLanes = Dim / 4 < 32 ? Dim / 4 : 32;  // a warp takes several short rows at once
  const std::int64_t n_pairs = rows_with_pairs(args);
  const auto run_on = [&](const char* name, std::int64_t items, const auto& body, Where where) {
    launch_tallied<kLanes, GateColumns::stride>(context, name, items, args.gate.slots, args.gate.n_slots,
                                                body, where);
  };
  // Rows with pairs need two to four times the registers of the others, which live on many warps: each kind
  // has a kernel of its own, and as one runs out of work the other takes its place.
  const bool both = n_pairs > 0 && n_pairs < args.rows;
  if (both) context.fork();
  run_on("fused_mf_step_with_pairs", n_pairs,
         FusedMfStepWithPairs<Dim, Optimizer, Rules>{args, args.pair_rate.gap()},
         both ? Where::beside : Where::own_stream);
  if (n_pairs < args.rows) {
    run_on("fused_mf_step", args.rows, FusedMfStep<Dim, Optimizer>{args}, Where::own_stream);
  }
  if (both) context.join();
}

/// Rows of a batch: enough for many full groups where few rows draw a pair.
constexpr std::int64_t kBatchRows = 1024;
/// Launches of fewer rows have no group to wait for and run as on CUDA, row by row.
constexpr std::int64_t kFewRows = 16;

/// The CPU's way. Items: rows. Those that draw pairs wait for each other and are then taken side by side, as
/// the way from logits through the gate to the gradients is long: one row's exponentials run while another's
/// are under way.
template <int Dim, class Optimizer>
struct GroupedMfStep {
  MfArgs args;

  /// Pairs, and therefore rows, of a group: whole vectors.
  static constexpr int kMost = 2 * GateTally::parts;
  struct Waiting {
    GateTally tally;
    std::int64_t row[kMost] = {};
    const RowPairs* pairs[kMost] = {};
    int n = 0, n_pairs = 0;
  };

  /// Asks for a row that will be updated.
  template <class Lanes>
  static SLLMR_INLINE void prefetch(const TableView& table, Id id) {
    const char* row = reinterpret_cast<const char*>(table.weights + static_cast<std::int64_t>(id) * Dim);
    for (unsigned byte = 0; byte < Dim * sizeof(float); byte += 64) Lanes::prefetch_to_write(row + byte);
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

  /// Asks for the rows of a later triple: there are no other warps to hide the last-level cache's latency.
  template <class Lanes>
  SLLMR_INLINE void prefetch_rows(std::int64_t k) const {
    constexpr std::int64_t kAhead = 6;
    if (k + kAhead >= args.rows) return;
    const Triple& triple = args.triples[k + kAhead];
    prefetch<Lanes>(args.users, triple.user);
    prefetch<Lanes>(args.items, triple.positive);
    prefetch<Lanes>(args.items, triple.negative);
  }

  template <class Lanes>
  SLLMR_INLINE void step_rows(Lanes lanes, std::int64_t first, std::int64_t last, float* slot) const {
    for (std::int64_t k = first; k < last; ++k) {
      prefetch_rows<Lanes>(k);
      plain_step<Dim, Optimizer>(lanes, args, args.triples[k], slot);
    }
  }

  template <class Lanes>
  SLLMR_RARE void step_waiting(Lanes lanes, Waiting& waiting) const {
    const int n = waiting.n;
    RowShare<Dim, Lanes> u[kMost];
    PairLogits logits[kMost];
    float margin[kMost] = {}, loss[kMost], push[kMost];
    for (int m = 0; m < n; ++m) {
      const Triple triple = args.triples[waiting.row[m]];
      u[m] = user_row<Dim>(lanes, args, triple.user);
      margin[m] = mf_margin<Dim>(lanes, args, triple, u[m]);
      logits[m] = mf_pair_logits<Dim>(lanes, args, *waiting.pairs[m], triple, u[m]);
    }
    side_by_side<kMost>([&](int m) {
      const BprLoss bpr = bpr_loss(margin[m]);
      loss[m] = m < n ? bpr.loss : 0.0F;
      push[m] = bpr.push;
    });
    waiting.tally.slot[GateColumns::loss] += sum_of(loss);
    waiting.tally.slot[GateColumns::rows] += static_cast<float>(n);
    ItemGradients gradients[kMost];
    for (int m = 0; m < n; ++m) gradients[m] = ItemGradients(args.triples[waiting.row[m]], push[m]);
    pass_gate(lanes, waiting, logits, gradients);
    for (int m = 0; m < n; ++m) {
      update_rows<Dim, ItemGradients::most, Optimizer>(lanes, args, args.triples[waiting.row[m]].user, u[m],
                                                       gradients[m]);
    }
    waiting.n = waiting.n_pairs = 0;
  }

  /// Takes guiding and probe pairs through the gate. Probe pairs only ever reach the gate.
  template <class Lanes>
  SLLMR_INLINE void pass_gate(Lanes lanes, Waiting& waiting, const PairLogits* logits,
                              ItemGradients* gradients) const {
    GateBatch<kMost> batch;
    int row[kMost];
    for (int m = 0; m < waiting.n; ++m) {
      for (int which = 0; which < 2; ++which) {
        const bool probe = which == 1;
        const LlmPair& pair = probe ? waiting.pairs[m]->probe : waiting.pairs[m]->guide;
        if (pair.a == 0) continue;
        const TwoLogits& s = probe ? logits[m].probe : logits[m].guide;
        row[batch.n] = m;
        batch.add(args.triples[waiting.row[m]].user, pair, s.a, s.b, probe ? 0.0F : logits[m].cosine, probe);
      }
    }
    if (batch.n == 0) return;
    GatedPair gated[kMost];
    gate_pairs(lanes, args.gate, waiting.tally, batch, gated);
    for (int k = 0; k < batch.n; ++k) {
      if (batch.probe[k] == 0) add_guide(batch.a[k], batch.b[k], gated[k], gradients[row[k]]);
    }
  }

  template <class Lanes>
  SLLMR_INLINE void wait(Lanes lanes, std::int64_t row, const RowPairs& pairs, Waiting& waiting) const {
    const int n_pairs = (pairs.guide.a != 0 ? 1 : 0) + (pairs.probe.a != 0 ? 1 : 0);
    if (waiting.n == kMost || waiting.n_pairs + n_pairs > kMost) step_waiting(lanes, waiting);
    prefetch_pairs<Lanes>(pairs, args.triples[row].user);
    waiting.row[waiting.n] = row;
    waiting.pairs[waiting.n] = &pairs;
    waiting.n += 1;
    waiting.n_pairs += n_pairs;
  }

  template <class Lanes>
  void operator()(Lanes lanes, std::int64_t first, std::int64_t count) const {
    float* slot =
        args.gate.slots + static_cast<std::int64_t>(lanes.slot(args.gate.n_slots)) * GateColumns::stride;
    const std::int64_t last = first + count;
    if (rows_with_pairs(args) == 0) return step_rows(lanes, first, last, slot);

    Waiting waiting{{slot}};
    const RowPairs* pairs = args.pairs + args.pair_rate.count(args.first_row, first);
    SelectedRows selected(args.pair_rate,
                          args.pair_rate.count_before(static_cast<std::uint64_t>(args.first_row + first)));
    for (std::int64_t k = first;; ++k, ++pairs, selected.next()) {
      const std::int64_t with_pairs = static_cast<std::int64_t>(selected.row()) - args.first_row;
      step_rows(lanes, k, with_pairs < last ? with_pairs : last, slot);
      if (with_pairs >= last) break;
      k = with_pairs;
      prefetch_rows<Lanes>(k);
      wait(lanes, k, *pairs, waiting);
    }
    if (waiting.n > 0) step_waiting(lanes, waiting);
    waiting.tally.flush();
  }
};

template <int Dim, class Optimizer>
void run(const Context& context, const MfArgs& args) {
  if constexpr (OnThisDevice::value == Device::cuda) {
    if (gate_rules()[static_cast<std::size_t>(args.gate.rule)].n_params <= NarrowRules::most_params) {
      run_side_by_side<Dim, Optimizer, NarrowRules>(context, args);
    } else {
      run_side_by_side<Dim, Optimizer, WideRules>(context, args);
    }
  } else {
    constexpr int kLanes = 1;
    if (args.rows < kFewRows) {
      const auto run_on = [&](std::int64_t items, const auto& body) {
        launch_tallied<kLanes, GateColumns::stride>(context, "fused_mf_step", items, args.gate.slots,
                                                    args.gate.n_slots, body, Where::own_stream);
      };
      run_on(args.rows, FusedMfStep<Dim, Optimizer>{args});
      run_on(rows_with_pairs(args),
             FusedMfStepWithPairs<Dim, Optimizer, EveryPart>{args, args.pair_rate.gap()});
    } else {
      launch_batches<kLanes>(context, "fused_mf_step", args.rows, kBatchRows,
                             GroupedMfStep<Dim, Optimizer>{args});
    }
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
