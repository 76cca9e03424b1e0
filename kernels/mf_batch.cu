#include "kernels/mf_batch.h"

#include "kernels/exec/launch.h"
#include "kernels/gates/module/run.h"
#include "kernels/mf.h"
#include "kernels/mf_prefetch.h"
#include "kernels/optimizers.h"

namespace sllmr {

namespace {

constexpr std::int64_t kAhead = 6;  // rows whose memory is asked for

template <int Dim, bool WithPairs>
struct RowGradients {
  MfArgs args;
  ItemGradients* gradients;
  Id* user_keys;
  Id* item_keys;
  Id no_item;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    const MfPlaces& places = args.places;
    const Triple* at = places.triples != nullptr ? places.triples : args.triples;
    const Triple triple = at[k];
    if constexpr (Lanes::prefetches) {
      if (k + kAhead < args.rows) {
        const Triple& ahead = at[k + kAhead];
        prefetch_to_read<Dim>(lanes, args.users.weights, ahead.user);
        prefetch_to_read<Dim>(lanes, args.items.weights, ahead.positive);
        prefetch_to_read<Dim>(lanes, args.items.weights, ahead.negative);
      }
    }
    const RowShare<Dim, Lanes> u(lanes, args.users.weights + static_cast<std::int64_t>(triple.user) * Dim);
    float* slot = args.gate.slots + k * GateColumns::stride;
    ItemGradients touched(triple, mf_base<Dim>(lanes, args, triple, u, slot));
    if constexpr (WithPairs) {
      const Id user = args.triples[k].user;
      if (places.triples != nullptr) {
        const std::int32_t pair = places.pair_of[k];
        if (pair >= 0) {
          mf_pairs(lanes, args, user, args.pairs[pair], places.pairs[pair], triple, u, slot, touched);
        }
      } else if (const RowPairs* pairs = args.pairs_of(k)) {
        mf_pairs(lanes, args, user, *pairs, *pairs, triple, u, slot, touched);
      }
    }
    if (lanes.lane() != 0) return;
    gradients[k] = touched;
    user_keys[k] = triple.user;
    constexpr int kSlots = WithPairs ? ItemGradients::most : ItemGradients::base;
    for (int m = 0; m < kSlots; ++m)
      item_keys[k * kSlots + m] = touched.item[m] != 0 ? touched.item[m] : no_item;
  }
};

/// Gradient of the mean loss on a user's row: the sum over the batch rows of that user of factor * V[item].
template <int Dim>
struct UserTerms {
  MfArgs args;
  const ItemGradients* gradients;

  SLLMR_HD const float* table() const { return args.users.weights; }
  SLLMR_HD static bool decays(std::int32_t) { return true; }
  template <class Lanes>
  void prefetch(Lanes lanes, std::int32_t occurrence) const {
    for (const Id item : gradients[occurrence].item) {
      if (item != 0) prefetch_to_read<Dim>(lanes, args.items.weights, item);
    }
  }

  template <class Lanes>
  SLLMR_HD void add(Lanes lanes, std::int32_t occurrence, float* sum) const {
    const ItemGradients& row = gradients[occurrence];
    for (int m = 0; m < ItemGradients::most; ++m) {
      if (row.item[m] == 0) continue;
      const float* item = args.items.weights + static_cast<std::int64_t>(row.item[m]) * Dim;
      SLLMR_ROW_LOOP
      for (int k = 0; k < Dim / Lanes::size; ++k)
        sum[k] += row.factor[m] * item[k * Lanes::size + lanes.lane()];
    }
  }
};

/// Gradient on an item's row: the sum over its occurrences of factor * U[user].
template <int Dim, int Slots>
struct ItemTerms {
  MfArgs args;
  const ItemGradients* gradients;

  SLLMR_HD const float* table() const { return args.items.weights; }
  SLLMR_HD static bool decays(std::int32_t occurrence) { return occurrence % Slots < ItemGradients::base; }
  template <class Lanes>
  void prefetch(Lanes lanes, std::int32_t occurrence) const {
    prefetch_to_read<Dim>(lanes, args.users.weights, args.triples[occurrence / Slots].user);
  }

  template <class Lanes>
  SLLMR_HD void add(Lanes lanes, std::int32_t occurrence, float* sum) const {
    const std::int32_t row = occurrence / Slots;
    const float factor = gradients[row].factor[occurrence % Slots];
    const float* user = args.users.weights + static_cast<std::int64_t>(args.triples[row].user) * Dim;
    SLLMR_ROW_LOOP
    for (int k = 0; k < Dim / Lanes::size; ++k) sum[k] += factor * user[k * Lanes::size + lanes.lane()];
  }
};

/// Asks for the row, and its optimiser's state, that comes some occurrences after `at`.
template <int Dim, class Lanes>
SLLMR_HD void prefetch_next(Lanes lanes, const TableView& table, const Id* keys, std::int64_t n, Id no_row,
                            std::int64_t at) {
  if constexpr (Lanes::prefetches) {
    const std::int64_t ahead = at + kAhead;
    if (ahead < n && keys[ahead] != no_row && keys[ahead] != keys[ahead - 1]) {
      prefetch_state<Dim>(lanes, table, keys[ahead]);
    }
  }
}

/// A table's sorted occurrences: a row's first one stands for the row.
template <int Dim, class Terms>
struct Occurrences {
  Terms terms;
  const Id* keys;
  const std::int32_t* order;
  std::int64_t n;
  Id no_row;
  float scale;
  float l2;  // added once to rows of the base loss; 0 where the optimiser adds it to every row

  /// The row whose first occurrence is at `at`; else no_row.
  SLLMR_HD Id row_at(std::int64_t at) const { return at > 0 && keys[at - 1] == keys[at] ? no_row : keys[at]; }
  template <class Lanes>
  SLLMR_HD void prefetch(Lanes lanes, std::int64_t at) const {
    if constexpr (Lanes::prefetches) {
      if (at + kAhead < n && keys[at + kAhead] != no_row) terms.prefetch(lanes, order[at + kAhead]);
    }
  }
  /// The gradient on row `key`, whose first occurrence is at `at`: write(column, weight, gradient).
  template <class Lanes, class Write>
  SLLMR_HD void sum(Lanes lanes, std::int64_t at, Id key, const Write& write) const {
    float sum[Dim / Lanes::size] = {};
    bool decays = false;
    for (std::int64_t k = at; k < n && keys[k] == key; ++k) {
      const std::int32_t occurrence = order[k];
      terms.add(lanes, occurrence, sum);
      decays = decays || Terms::decays(occurrence);
    }
    const float decay = decays ? l2 : 0.0F;
    const float* weights = terms.table() + static_cast<std::int64_t>(key) * Dim;
    SLLMR_ROW_LOOP
    for (int k = 0; k < Dim / Lanes::size; ++k) {
      const int column = k * Lanes::size + lanes.lane();
      const float weight = weights[column];
      write(column, weight, scale * sum[k] + decay * weight);
    }
  }
};

/// One group of lanes a sorted occurrence; a row's first occurrence sums all of them.
template <int Dim, class Terms>
struct SumOccurrences {
  Occurrences<Dim, Terms> of;
  bool dense;  // sums go to the row of a dense table, instead of the first occurrence's
  float* sums;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t at) const {
    of.prefetch(lanes, at);
    const Id key = of.row_at(at);
    if (key == of.no_row) return;
    float* out = sums + (dense ? key : at) * Dim;
    of.sum(lanes, at, key, [out](int column, float, float gradient) { out[column] = gradient; });
  }
};

/// The same, and the row's step with it: of a table that no other sum reads any more.
template <int Dim, class Terms, class Optimizer>
struct StepOccurrences {
  Occurrences<Dim, Terms> of;
  OptimizerArgs optimizer;
  TableView table;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t at) const {
    of.prefetch(lanes, at);
    prefetch_next<Dim>(lanes, table, of.keys, of.n, of.no_row, at);
    const Id key = of.row_at(at);
    if (key == of.no_row) return;
    const Optimizer update(optimizer, table, key);
    const std::int64_t row = static_cast<std::int64_t>(key) * Dim;
    of.sum(lanes, at, key, [&](int column, float weight, float gradient) {
      update.step(lanes, table, row + column, weight, gradient);
    });
    table.keep_last<Dim>(lanes, key);
    update.finish(lanes, table, key);
  }
};

template <int Dim, class Optimizer>
struct UpdateTouched {
  OptimizerArgs optimizer;
  TableView table;
  const Id* keys;
  std::int64_t n;
  Id no_row;
  const float* sums;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t at) const {
    prefetch_next<Dim>(lanes, table, keys, n, no_row, at);
    const Id key = keys[at];
    if (key == no_row || (at > 0 && keys[at - 1] == key)) return;
    const Optimizer update(optimizer, table, key);
    SLLMR_ROW_LOOP
    for (int k = 0; k < Dim / Lanes::size; ++k) {
      const std::int64_t column = k * Lanes::size + lanes.lane();
      const std::int64_t cell = static_cast<std::int64_t>(key) * Dim + column;
      const float weight = table.weights[cell];
      update.step(lanes, table, cell, weight, sums[at * Dim + column]);
    }
    table.keep_last<Dim>(lanes, key);
    update.finish(lanes, table, key);
  }
};

/// Every row, touched or not; leaves the gradients zero for the next step.
template <int Dim, class Optimizer>
struct UpdateAll {
  Optimizer update;
  float l2;
  TableView table;
  float* sums;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    SLLMR_ROW_LOOP
    for (int k = 0; k < Dim / Lanes::size; ++k) {
      const std::int64_t at = row * Dim + k * Lanes::size + lanes.lane();
      const float weight = table.weights[at];
      update.step(table, at, weight, sums[at] + l2 * weight);
      sums[at] = 0;
    }
    table.keep_last<Dim>(lanes, row);
  }
};

template <int Dim, class Terms>
Occurrences<Dim, Terms> occurrences(const MfUpdate& args, const MfOccurrences& of) {
  return {.terms = {args.mf, args.gradients},
          .keys = of.keys,
          .order = of.order,
          .n = of.n,
          .no_row = static_cast<Id>(of.rows),
          .scale = 1.0F / static_cast<float>(args.mean_of),
          .l2 = info_of(args.optimizer).every_row ? 0.0F : args.mf.optimizer.l2};
}

template <int Dim, class Terms>
void sum_occurrences(const Context& context, const char* name, const MfUpdate& args,
                     const MfOccurrences& of) {
  launch(context, name, of.n,
         SumOccurrences<Dim, Terms>{occurrences<Dim, Terms>(args, of), info_of(args.optimizer).every_row,
                                    of.sums});
}

/// The step of a table: touched(optimiser's type) where touched rows alone are stepped; else of every row,
/// whose sums are known.
template <int Dim, class Touched>
void step_table(const Context& context, const char* name, const MfUpdate& args, const TableView& table,
                const MfOccurrences& of, const Touched& touched) {
  AllOptimizers::with(args.optimizer, [&]<class Optimizer>(std::type_identity<Optimizer> type) {
    if constexpr (StepsTouchedRows<Optimizer>) {
      touched(type);
    } else {
      const OptimizerArgs& optimizer = args.mf.optimizer;
      launch(context, name, of.rows,
             UpdateAll<Dim, Optimizer>{Optimizer(optimizer, args.step), optimizer.l2, table, of.sums});
    }
  });
}

/// The items' sums and their step.
template <int Dim, class Terms>
void step_items(const Context& context, const MfUpdate& args) {
  const TableView& table = args.mf.items;
  const MfOccurrences& of = args.items;
  const char* name = "mf_item_step";
  if (info_of(args.optimizer).every_row) sum_occurrences<Dim, Terms>(context, "mf_item_sums", args, of);
  step_table<Dim>(context, name, args, table, of, [&]<class Optimizer>(std::type_identity<Optimizer>) {
    launch(
        context, name, of.n,
        StepOccurrences<Dim, Terms, Optimizer>{occurrences<Dim, Terms>(args, of), args.mf.optimizer, table});
  });
}

/// The users' step, whose sums are known.
template <int Dim>
void step_users(const Context& context, const MfUpdate& args) {
  const TableView& table = args.mf.users;
  const MfOccurrences& of = args.users;
  const char* name = "mf_user_step";
  step_table<Dim>(context, name, args, table, of, [&]<class Optimizer>(std::type_identity<Optimizer>) {
    launch(context, name, of.n,
           UpdateTouched<Dim, Optimizer>{args.mf.optimizer, table, of.keys, of.n, static_cast<Id>(of.rows),
                                         of.sums});
  });
}

template <int Dim, bool WithPairs>
void run_rows(const Context& context, const MfGradients& args) {
  launch(context, "mf_rows", args.mf.rows,
         RowGradients<Dim, WithPairs>{args.mf, args.gradients, args.user_keys, args.item_keys, args.no_item});
}

void run_here(const Context& context, const MfGradients& args) {
  if (run_in_module(context, args, args.mf.gate, &GateKernels::gradients)) return;
  for_mf_width(args.width, [&](auto dim) {
    return args.mf.pairs != nullptr ? run_rows<dim, true>(context, args)
                                    : run_rows<dim, false>(context, args);
  });
}

void run_here(const Context& context, const MfUpdate& args) {
  for_mf_width(args.width, [&](auto dim) {
    // In this order: the users' sums read the items, the items' sums the users, both before their step.
    sum_occurrences<dim, UserTerms<dim>>(context, "mf_user_sums", args, args.users);
    with_constant(args.mf.pairs != nullptr, [&](auto with_pairs) {
      constexpr int kSlots = decltype(with_pairs)::value ? ItemGradients::most : ItemGradients::base;
      step_items<dim, ItemTerms<dim, kSlots>>(context, args);
    });
    step_users<dim>(context, args);
  });
}

}  // namespace

SLLMR_KERNEL(MfGradients)
SLLMR_KERNEL(MfUpdate)

}  // namespace sllmr
