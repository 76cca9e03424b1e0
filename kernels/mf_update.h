// The optimiser's step on the rows that one training row touches, in place.
#pragma once

#include <utility>

#include "kernels/mf.h"
#include "kernels/optimizers.h"

namespace sllmr {

/// Steps row `id` of `table`, whose old values are `weights`; gradient(k) is that of the lane's k-th number.
template <int Dim, class Optimizer, class Lanes, class Gradient>
SLLMR_INLINE void step_row(Lanes lanes, const Optimizer& update, const TableView& table, Id id,
                           const RowShare<Dim, Lanes>& weights, const Gradient& gradient) {
  using Row = RowShare<Dim, Lanes>;
  const std::int64_t row = static_cast<std::int64_t>(id) * Dim;
  if constexpr (Row::fours) {
    SLLMR_ROW_LOOP
    for (int k = 0; k < Row::n; k += 4) {
      const Four weight{weights[k], weights[k + 1], weights[k + 2], weights[k + 3]};
      const Four of_weight{gradient(k), gradient(k + 1), gradient(k + 2), gradient(k + 3)};
      update.step(lanes, table, row + Row::column(lanes, k), weight, of_weight);
    }
  } else {
    SLLMR_ROW_LOOP
    for (int k = 0; k < Row::n; ++k) {
      update.step(lanes, table, row + Row::column(lanes, k), weights[k], gradient(k));
    }
  }
  table.keep_last<Dim>(lanes, id);
  update.finish(lanes, table, id);
}

/// Updates the user's row and the item rows in the first `Slots` slots from one pass over their old values.
template <int Dim, int Slots, class Optimizer, class Lanes>
SLLMR_INLINE void update_rows_in_turn(Lanes lanes, const MfArgs& args, Id user, const RowShare<Dim, Lanes>& u,
                                      const ItemGradients& gradients) {
  using Row = RowShare<Dim, Lanes>;
  const float l2 = args.optimizer.l2;
  float user_gradient[Row::n];
  SLLMR_ROW_LOOP
  for (int k = 0; k < Row::n; ++k) user_gradient[k] = l2 * u[k];
  SLLMR_UNROLL
  for (int item = 0; item < Slots; ++item) {
    const Id id = gradients.item[item];
    const float decay = item < ItemGradients::base ? l2 : 0.0F;
    if (Slots > ItemGradients::base && id == 0) continue;
    const float factor = gradients.factor[item];
    const Row v(lanes, args.items.weights + static_cast<std::int64_t>(id) * Dim);
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
  users.keep_last<Dim>(lanes, user);
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

}  // namespace sllmr
