// The exact step: gradients of a whole mini-batch at the parameters before it, then one optimiser step. Sums
// run in a fixed order (occurrences sorted by row), so a run is bitwise repeatable, whatever the number of
// threads.
#pragma once

#include <cstdint>

#include "kernels/exec/memory.h"
#include "kernels/exec/run.h"
#include "kernels/exec/sort.h"
#include "kernels/mf_args.h"

namespace sllmr {

/// Slots of ItemGradients that rows of a batch may use.
inline int item_slots(const MfArgs& args) {
  return args.pairs == nullptr ? ItemGradients::base : ItemGradients::most;
}

/// Forward over mf.rows rows: each row's item gradients, and which rows of the tables they are for.
struct MfGradients {
  int width;
  MfArgs mf;
  ItemGradients* gradients;  // [mf.rows]
  Id* user_keys;             // [mf.rows]
  Id* item_keys;             // [mf.rows x item_slots(mf)]; no_item in unused slots
  Id no_item;                // rows of the item table: sorts behind all of them
};

/// One table's rows in the batch, sorted. `sums` gets their gradients: [n x width], a row's at its first
/// occurrence, but not the items', whose rows are stepped as they are summed; of dense Adam [rows x width] of
/// both, zero before and after.
struct MfOccurrences {
  std::int64_t rows;          // of the table
  std::int64_t n;             // occurrences
  const Id* keys;             // [n]; of unused slots `rows`
  const std::int32_t* order;  // [n]: which key of MfGradients stood here
  float* sums;
};

/// Backward and the step: sums the gradients of each row that occurs, for both tables at the parameters
/// before the step, which it then takes. A side without rows is left as it is.
struct MfUpdate {
  int width;
  OptimizerKind optimizer;
  std::int32_t step;     // of dense Adam, from 1
  MfArgs mf;             // its triples: where the users' rows lie
  std::int64_t mean_of;  // rows of the whole batch
  const ItemGradients* gradients;
  MfOccurrences users, items;
};

/// The rows of both tables that occur in a batch: their keys, which MfGradients writes, sorted by row; and
/// the memory for their gradients.
class MfBatchRows {
 public:
  MfBatchRows() = default;
  /// Tables of [user_rows x width] and [item_rows x width], batches of at most `max_rows` rows.
  MfBatchRows(const Context& context, int width, std::int64_t user_rows, std::int64_t item_rows,
              std::int64_t max_rows, OptimizerKind optimizer);

  Id* user_keys() { return users_.keys.data(); }  // [max_rows]
  Id* item_keys() { return items_.keys.data(); }  // [max_rows x ItemGradients::most]
  std::int64_t user_rows() const { return users_.rows; }
  std::int64_t item_rows() const { return items_.rows; }
  /// Of the first `n` keys.
  MfOccurrences users(const Context& context, std::int64_t n) { return sorted(context, users_, n); }
  MfOccurrences items(const Context& context, std::int64_t n) { return sorted(context, items_, n); }

 private:
  struct Side {
    std::int64_t rows = 0;         // of the table
    Buffer<Id> keys, sorted_keys;  // [max occurrences]
    Buffer<std::int32_t> order;    // [max occurrences]
    Buffer<float> sums;            // see MfOccurrences
  };
  MfOccurrences sorted(const Context& context, Side& side, std::int64_t n);

  KeySort sort_;
  Side users_, items_;
};

/// The exact step and its scratch memory.
class MfBatch {
 public:
  /// Tables of [user_rows x width] and [item_rows x width], batches of at most `max_rows` rows. Throws Error
  /// for a width that has no kernel.
  MfBatch(const Context& context, int width, std::int64_t user_rows, std::int64_t item_rows,
          std::int64_t max_rows, OptimizerKind optimizer);

  /// Forward and backward over args.rows rows at the current parameters, loss = mean over the rows, then one
  /// optimiser step. Needs one accumulator slot a row. Dense Adam (step number `step`, from 1) updates every
  /// row of both tables, with L2 in the gradient; the other optimisers update touched rows only, with L2 on
  /// those of the triples.
  void step(const Context& context, std::int32_t step, const MfArgs& args);

 private:
  int width_;
  std::int64_t max_rows_;
  OptimizerKind optimizer_;
  Buffer<ItemGradients> gradients_;  // [max_rows]
  MfBatchRows rows_;
};

}  // namespace sllmr
