// Between a batch's rows and examples and the sequences of tokens that a transformer reads (LLM-CF).
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"
#include "models/features.h"

namespace sllmr {

/// Row r's sequence: for each of its slots the tokens x of the example there, c where there are `chains`, and
/// l, the row of `labels` for the example's label; last x of the row itself. Zero where a slot is empty.
template <class Real>
struct ExampleTokens {
  ExampleRows examples;
  const std::int8_t* label;        // 0 or 1, by number in the pool
  Matrix<const Real> x;            // [rows x width]
  Matrix<const Real> of_examples;  // [examples x width], by number in `examples.of_row`; and
  Matrix<const Real> chains;       // [examples x width], or empty
  Matrix<const Real> labels;       // [2 x width]
  Matrix<Real> out;                // [rows * tokens x width]

  SLLMR_HD int of_slot() const { return chains.data != nullptr ? 3 : 2; }
  SLLMR_HD int tokens() const { return of_slot() * examples.each + 1; }
};

/// Backward: what of d_out [rows * tokens x width] comes to x, chains and labels. An example's is the sum
/// over the slots that it stands in, in the order of rows.
template <class Real>
struct ExampleTokensBackward {
  ExampleRows examples;
  std::int64_t rows;
  const std::int8_t* label;
  Matrix<const Real> d_out;
  Matrix<Real> d_x, d_chains, d_labels;

  SLLMR_HD int of_slot() const { return d_chains.data != nullptr ? 3 : 2; }
  SLLMR_HD int tokens() const { return of_slot() * examples.each + 1; }
};

/// cosines[k] = cos(y_k, v_k), y_k row k of `y` [rows * each x E] and v_k that of `frozen` for the number of
/// the example in slot k; 0 for an empty slot. d_y = scale times its gradient, -scale for a loss that falls
/// with it.
template <class Real>
struct ExampleCosines {
  ExampleRows examples;
  Matrix<const Real> frozen;  // [pool x E]
  Real scale;
  Matrix<const Real> y;
  Matrix<Real> cosines;  // [rows * each x 1]
  Matrix<Real> d_y;
};

/// d_table[k] = the sum of d_out's rows r whose item is key k of the plan of items: the gradient of
/// TakeRows by FeatureBatch::item_number, k < FeatureBatch::different_items.
template <class Real>
struct TakeItemsBackward {
  TablePlan plan;
  Matrix<const Real> d_out;  // [batch.all_rows() x width]
  Matrix<Real> d_table;      // [different items x width]
};

/// out[r] = row ids[r] of `table`.
template <class Real>
struct TakeRows {
  Matrix<const Real> table;
  const Id* ids;  // [out.rows]
  Matrix<Real> out;
};

}  // namespace sllmr
