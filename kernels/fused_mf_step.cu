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

  template <class Lanes>
  SLLMR_INLINE void prefetch(const TableView& table, Id id) const {
    const char* row = reinterpret_cast<const char*>(table.weights + static_cast<std::int64_t>(id) * Dim);
    for (unsigned byte = 0; byte < Dim * sizeof(float); byte += 64) Lanes::prefetch(row + byte);
  }

  template <class Lanes>
  SLLMR_RARE void prefetch_pairs(const RowPairs& pairs, Id user) const {
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
    if constexpr (WithPairs) {
      if (const RowPairs* pairs = pairs_of(args, k)) prefetch_pairs<Lanes>(*pairs, triple.user);
    }
  }

  /// The rest of a row that draws pairs. Takes few arguments and looks the others up again, which leaves the
  /// caller's in registers.
  template <class Lanes>
  SLLMR_RARE void step_with_pairs(Lanes lanes, std::int64_t k, const RowPairs& pairs, float push,
                                  float* slot) const {
    const Triple triple = args.triples[k];
    const RowShare<Dim, Lanes> u(lanes, args.users.weights + static_cast<std::int64_t>(triple.user) * Dim);
    ItemGradients gradients(triple, push);
    mf_pairs<Dim>(lanes, args, pairs, triple, u, slot, gradients);
    update_rows<Dim, ItemGradients::most, Optimizer>(lanes, args, triple.user, u, gradients);
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    constexpr std::int64_t kAhead = 6;
    if constexpr (Lanes::prefetches) {
      if (k + kAhead < args.rows) prefetch_rows<Lanes>(k + kAhead);
    }
    const Triple triple = args.triples[k];
    const RowShare<Dim, Lanes> u(lanes, args.users.weights + static_cast<std::int64_t>(triple.user) * Dim);
    float* slot =
        args.gate.slots + static_cast<std::int64_t>(lanes.slot(args.gate.n_slots)) * GateColumns::stride;
    const float push = mf_base<Dim>(lanes, args, triple, u, slot);
    if constexpr (WithPairs) {
      if (const RowPairs* pairs = pairs_of(args, k)) return step_with_pairs(lanes, k, *pairs, push, slot);
    }
    update_rows<Dim, ItemGradients::base, Optimizer>(lanes, args, triple.user, u,
                                                     ItemGradients(triple, push));
  }
};

template <int Dim, class Optimizer>
void run(const Context& context, const MfArgs& args) {
  if (args.pairs != nullptr) {
    launch(context, "fused_mf_step", args.rows, FusedMfStep<Dim, Optimizer, true>{args});
  } else {
    launch(context, "fused_mf_step", args.rows, FusedMfStep<Dim, Optimizer, false>{args});
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
