#include "kernels/fused_mf_step.h"

#include "kernels/exec/launch.h"
#include "kernels/gates/module/run.h"
#include "kernels/mf_prefetch.h"
#include "kernels/mf_update.h"

namespace sllmr {

namespace {

/// The base loss alone.
template <int Dim, class Optimizer, class Lanes>
SLLMR_INLINE void plain_step(Lanes lanes, const MfArgs& args, const Triple& triple, float* tally) {
  const RowShare<Dim, Lanes> u = user_row<Dim>(lanes, args, triple.user);
  const float push = mf_base<Dim>(lanes, args, triple, u, tally);
  update_rows<Dim, ItemGradients::base, Optimizer>(lanes, args, triple.user, u, ItemGradients(triple, push));
}

/// Rows with pairs that are taken side by side: one on CUDA; on the CPU as many as wait for each other, since
/// the way from logits through the gate to the gradients is long and one row's exponentials run while
/// another's are under way.
template <int Most>
struct Group {
  int n = 0, n_pairs = 0;
  std::int64_t row[Most];
  const RowPairs* pairs[Most];

  SLLMR_INLINE void add(std::int64_t of_row, const RowPairs* of_pairs) {
    const int at = Most == 1 ? 0 : n;  // a constant keeps a single row in registers
    row[at] = of_row;
    pairs[at] = of_pairs;
    n = at + 1;
    n_pairs += pairs_of(*of_pairs);
  }
  SLLMR_INLINE static int pairs_of(const RowPairs& of) {
    return (of.guide.a != 0 ? 1 : 0) + (of.probe.a != 0 ? 1 : 0);
  }
  SLLMR_INLINE bool has_room_for(const RowPairs& more) const {
    return n < Most && n_pairs + pairs_of(more) <= Most;
  }
};

/// Takes the pairs of `group` through the gate, as many at a time as a group has rows. Probes only ever reach
/// the gate.
template <class Parts, int Most, class Lanes, class Tally>
SLLMR_INLINE void pass_gate(Lanes lanes, const MfArgs& args, const Group<Most>& group,
                            const PairLogits* logits, ItemGradients* gradients, Tally& tally) {
  GateBatch<Most> batch;
  int member[Most];
  const auto pass = [&] {
    GatedPairs<Most> gated;
    gate_pairs<Parts>(lanes, args.gate, tally, batch, gated);
    for (int k = 0; k < Most && k < batch.n; ++k) {
      if (batch.probe[k] == 0) add_guide(batch.a[k], batch.b[k], gated, k, gradients[member[k]]);
    }
  };
  for (int m = 0; m < Most && m < group.n; ++m) {
    for (int which = 0; which < 2; ++which) {
      const bool probe = which == 1;
      const LlmPair& pair = probe ? group.pairs[m]->probe : group.pairs[m]->guide;
      if (pair.a == 0) continue;
      const TwoLogits& s = probe ? logits[m].probe : logits[m].guide;
      member[Most == 1 ? 0 : batch.n] = m;
      batch.add(args.triples[group.row[m]].user, pair, s.a, s.b, probe ? 0.0F : logits[m].cosine, probe);
      if constexpr (Most == 1) pass();
    }
  }
  if (Most > 1 && batch.n > 0) pass();
}

/// Logits, base loss, gate and update of the rows of `group`.
template <int Dim, class Optimizer, class Parts, int Most, class Lanes, class Tally>
SLLMR_INLINE void step_group(Lanes lanes, const MfArgs& args, const Group<Most>& group, Tally& tally) {
  RowShare<Dim, Lanes> u[Most];
  PairLogits logits[Most];
  float margin[Most] = {}, loss[Most], push[Most];
  for (int m = 0; m < Most && m < group.n; ++m) {
    const Triple triple = args.triples[group.row[m]];
    u[m] = user_row<Dim>(lanes, args, triple.user);
    margin[m] = mf_margin<Dim>(lanes, args, triple, u[m]);
    logits[m] = mf_pair_logits<Dim>(lanes, args, *group.pairs[m], triple, u[m]);
  }
  side_by_side<Most>([&](int m) {
    const BprLoss bpr = bpr_loss(margin[m]);
    loss[m] = m < group.n ? bpr.loss : 0.0F;
    push[m] = bpr.push;
  });
  if (lanes.lane() == 0) {
    slot_of(tally)[GateColumns::loss] += sum_of(loss);
    slot_of(tally)[GateColumns::rows] += static_cast<float>(group.n);
  }
  ItemGradients gradients[Most];
  for (int m = 0; m < Most && m < group.n; ++m)
    gradients[m] = ItemGradients(args.triples[group.row[m]], push[m]);
  pass_gate<Parts>(lanes, args, group, logits, gradients, tally);
  for (int m = 0; m < Most && m < group.n; ++m) {
    update_rows<Dim, ItemGradients::most, Optimizer>(lanes, args, args.triples[group.row[m]].user, u[m],
                                                     gradients[m]);
  }
}

std::int64_t rows_with_pairs(const MfArgs& args) {
  return args.pairs == nullptr ? 0 : args.pair_rate.count(args.first_row, args.rows);
}

/// CUDA. Item: a row; those that draw pairs are left to RowsWithPairs.
template <int Dim, class Optimizer>
struct PlainRows {
  static constexpr int blocks_at_once = Dim > 128 ? 3 : std::is_same_v<Optimizer, Sgd> ? 8 : 4;
  MfArgs args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k, float* tally) const {
    if (args.pairs != nullptr && args.pair_rate.selects(static_cast<std::uint64_t>(args.first_row + k)))
      return;
    plain_step<Dim, Optimizer>(lanes, args, args.triples[k], tally);
  }
};

/// CUDA. Item: a row that draws pairs, by its ordinal among such rows of the launch. `Parts`: has the gate's.
template <int Dim, class Optimizer, class Parts>
struct RowsWithPairs {
  static constexpr bool narrow = Dim <= 128 && !std::is_same_v<Parts, WideParts>;
  static constexpr bool lean =
      Dim <= 64 && std::is_same_v<Parts, LeanParts> && std::is_same_v<Optimizer, Sgd>;
  static constexpr int blocks_at_once = !narrow ? 2 : lean ? 4 : 3;
  MfArgs args;
  double gap;  // of args.pair_rate

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k, float* tally) const {
    const std::uint64_t ordinal = args.pair_rate.count_before(static_cast<std::uint64_t>(args.first_row)) +
                                  static_cast<std::uint64_t>(k);
    Group<1> group;
    group.add(static_cast<std::int64_t>(args.pair_rate.row_of(ordinal, gap)) - args.first_row,
              args.pairs + k);
    step_group<Dim, Optimizer, Parts>(lanes, args, group, tally);
  }
};

template <int Dim, class Optimizer, class Parts>
void run_side_by_side(const Context& context, const MfArgs& args) {
  constexpr int kLanes = Dim / 4 < 32 ? Dim / 4 : 32;  // a warp takes several short rows at once
  const std::int64_t n_pairs = rows_with_pairs(args);
  const auto run_on = [&](const char* name, std::int64_t items, const auto& body, Where where) {
    launch_tallied<kLanes, GateColumns::stride>(context, name, items, args.gate.slots, args.gate.n_slots,
                                                body, where);
  };
  // Rows with pairs need two to four times the registers of the others, which live on many warps: each kind
  // has a kernel of its own, and as one runs out of work the other takes over.
  const bool both = n_pairs > 0 && n_pairs < args.rows;
  if (both) context.fork();
  run_on("fused_mf_step_with_pairs", n_pairs,
         RowsWithPairs<Dim, Optimizer, Parts>{args, args.pair_rate.gap()},
         both ? Where::beside : Where::own_stream);
  if (n_pairs < args.rows) {
    run_on("fused_mf_step", args.rows, PlainRows<Dim, Optimizer>{args}, Where::own_stream);
  }
  if (both) context.join();
}

/// The CPU. A batch: some rows in turn, where those that draw pairs wait until a group is full.
template <int Dim, class Optimizer>
struct BatchRows {
  static constexpr std::int64_t rows = 1024;         // enough for many full groups where few rows draw a pair
  static constexpr int most = 2 * GateTally::parts;  // rows, and pairs, of a group: whole vectors
  MfArgs args;
  bool beyond_cache;

  template <class Lanes>
  SLLMR_INLINE void plain_steps(Lanes lanes, std::int64_t first, std::int64_t last, float* slot) const {
    for (std::int64_t k = first; k < last; ++k) {
      prefetch_triples<Dim>(lanes, args, k, beyond_cache);
      plain_step<Dim, Optimizer>(lanes, args, args.triples[k], slot);
    }
  }

  template <class Lanes>
  SLLMR_RARE void step(Lanes lanes, Group<most>& waiting, GateTally& tally) const {
    step_group<Dim, Optimizer, EveryPart>(lanes, args, waiting, tally);
    waiting.n = waiting.n_pairs = 0;
  }

  template <class Lanes>
  void operator()(Lanes lanes, std::int64_t first, std::int64_t count) const {
    float* slot = args.gate.slots + static_cast<std::int64_t>(lanes.thread) * GateColumns::stride;
    const std::int64_t last = first + count;
    if (rows_with_pairs(args) == 0) return plain_steps(lanes, first, last, slot);

    GateTally tally{slot};
    Group<most> waiting;
    const RowPairs* pairs = args.pairs + args.pair_rate.count(args.first_row, first);
    SelectedRows selected(args.pair_rate,
                          args.pair_rate.count_before(static_cast<std::uint64_t>(args.first_row + first)));
    for (std::int64_t k = first;; ++k, ++pairs, selected.next()) {
      const std::int64_t with_pairs = static_cast<std::int64_t>(selected.row()) - args.first_row;
      plain_steps(lanes, k, with_pairs < last ? with_pairs : last, slot);
      if (with_pairs >= last) break;
      k = with_pairs;
      prefetch_triples<Dim>(lanes, args, k, beyond_cache);
      if (!waiting.has_room_for(*pairs)) step(lanes, waiting, tally);
      prefetch_pairs<Dim>(lanes, args, *pairs, args.triples[k].user);
      waiting.add(k, pairs);
    }
    if (waiting.n > 0) step(lanes, waiting, tally);
    tally.flush();
  }
};

template <int Dim, class Optimizer>
void run_rows(const Context& context, const MfArgs& args, [[maybe_unused]] bool beyond_cache) {
  if constexpr (OnThisDevice::value == Device::cuda) {
    if (has_parts_of<LeanParts>(args.gate)) return run_side_by_side<Dim, Optimizer, LeanParts>(context, args);
    if (has_parts_of<NarrowParts>(args.gate))
      return run_side_by_side<Dim, Optimizer, NarrowParts>(context, args);
    run_side_by_side<Dim, Optimizer, WideParts>(context, args);
  } else {
    require(args.gate.n_slots >= context.threads(), "fused_mf_step: fewer accumulator slots than threads");
    // One row has no other to wait for. It goes CUDA's way, which the tests of single rows thereby take.
    if (args.rows == 1) return run_side_by_side<Dim, Optimizer, EveryPart>(context, args);
    using Body = BatchRows<Dim, Optimizer>;
    launch_batches<1>(context, "fused_mf_step", args.rows, Body::rows, Body{args, beyond_cache});
  }
}

void run_here(const Context& context, const FusedMfStep& args) {
  if (run_in_module(context, args, args.mf.gate, &GateKernels::fused)) return;
  require(args.mf.gate.n_slots > 0, "fused_mf_step: no accumulator slots");
  require_fused(args.optimizer);
  for_mf_width(args.width, [&](auto dim) {
    AllOptimizers::with(args.optimizer, [&]<class Optimizer>(std::type_identity<Optimizer>) {
      if constexpr (StepsTouchedRows<Optimizer>)
        run_rows<dim, Optimizer>(context, args.mf, args.beyond_cache);
    });
  });
}

}  // namespace

SLLMR_KERNEL(FusedMfStep)

}  // namespace sllmr
