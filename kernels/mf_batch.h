// The exact step: gradients of a whole mini-batch at the parameters before it, then one optimiser step. Sums
// run in a fixed order (occurrences sorted by row), so a run is bitwise repeatable, whatever the number of
// threads.
#pragma once

#include <cstdint>

#include "kernels/exec/context.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/sort.h"
#include "kernels/mf_args.h"

namespace sllmr {

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
  /// Sorted occurrences of one table's rows in the batch, and the gradients of the rows that occur.
  struct Side {
    std::int64_t rows;             // of the table
    Buffer<Id> keys, sorted_keys;  // [max occurrences]
    Buffer<std::int32_t> order;    // [max occurrences]
    Buffer<float> sums;  // [max occurrences x width], at a row's first occurrence; dense Adam: [rows x width]
  };
  Side make_side(const Context& context, std::int64_t rows, std::int64_t occurrences) const;
  template <int Dim, class Where>
  void step_width(Where, const Context& context, std::int32_t step, const MfArgs& args);
  void step_on(OnCpu, const Context& context, std::int32_t step, const MfArgs& args);
  void step_on(OnCuda, const Context& context, std::int32_t step, const MfArgs& args);

  int width_;
  std::int64_t max_rows_;
  OptimizerKind optimizer_;
  KeySort sort_;
  Buffer<ItemGradients> gradients_;  // [max_rows]
  Side users_, items_;
};

}  // namespace sllmr
