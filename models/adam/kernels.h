// Adam over a slab of dense parameters and over embedding tables, of which a step touches few rows.
//
// One step on one weight w with gradient g of the loss is, as torch.optim.Adam with coupled L2,
//   g <- g + l2 w;  m <- m + (1 - beta1) (g - m);  v <- beta2 v + (1 - beta2) g^2;
//   w <- w - rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// in this order, every product that is added to something rounded once (fma), so that a step has the same
// bits wherever it is taken. |m| < 1e-30 and v < 1e-36 are taken as 0: that is far below what moves a weight
// (eps is 1e-8) and keeps subnormal numbers out, which are slow.
//
// Dense Adam changes every row in every step. A row without a gradient needs nothing but itself for that, so
// each row keeps the number of its last step and takes the missed ones later, all at once in registers:
// before it is read, and at the latest after kAdamSweep steps.
#pragma once

#include <cstdint>

#include "kernels/adam_constants.h"
#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// No row of a table is further behind than this many steps: each step brings one part in kAdamSweep of all
/// rows up to date. It bounds the longest chain of missed steps, which on CUDA is what a launch takes.
inline constexpr std::int32_t kAdamSweep = 64;

/// What changes from step to step: rate / (1 - beta1^t) and 1 / sqrt(1 - beta2^t).
template <class Real>
struct AdamFactors {
  Real step_size, second_scale;
};

/// A table, the rows of it that the batch touches, and the gradients' addresses; all on the device.
template <class Real>
struct AdamTable {
  Real* weights = nullptr;        // [rows x width]
  Real* first = nullptr;          // [rows x width], m
  Real* second = nullptr;         // [rows x width], v
  std::int32_t* steps = nullptr;  // [rows]; dense: number of the last step; lazy: how many steps
  int width = 0;
  int gradients = 0;  // which AdamArgs::gradients
  /// Occurrence k of row keys[r], offsets[r] <= k < offsets[r + 1], is in bag row[k] of field[k].
  std::int64_t n = 0;
  const Id* keys = nullptr;
  const std::int64_t* offsets = nullptr;
  const std::int8_t* field = nullptr;
  const std::int32_t* row = nullptr;
  /// Rows that are brought up to date whatever the batch.
  Id sweep_begin = 0, sweep_end = 0;
};

/// Gradient of the bags' means; `data` is null where the loss does not depend on the field.
template <class Real>
struct BagGradient {
  const Real* data = nullptr;  // row b begins at data + b * stride
  std::int64_t stride = 0;
  const std::int32_t* length = nullptr;  // of the bags
};

/// What both kernels get.
template <class Real>
struct AdamArgs {
  static constexpr int kMaxTables = 8, kMaxGradients = 2, kMaxFields = 8;
  Real l2 = 0;        // of the slab
  Real table_l2 = 0;  // of the tables
  bool lazy = false;
  std::int32_t step = 0;                       // the first step is 1
  const AdamFactors<Real>* factors = nullptr;  // [n_factors], by step; the last one holds for all later steps
  std::int32_t n_factors = 0;
  /// Dense parameters.
  Real* values = nullptr;
  const Real* slab_gradients = nullptr;
  Real* first = nullptr;
  Real* second = nullptr;
  std::int64_t size = 0;

  int n_tables = 0;
  AdamTable<Real> tables[kMaxTables];
  BagGradient<Real> gradients[kMaxGradients][kMaxFields];
};

/// Takes all steps up to and including args.step that the tables' keys and swept rows have missed, with no
/// gradient but that of L2. One launch.
template <class Real>
struct AdamCatchUp {
  AdamArgs<Real> args;
};

/// Takes step args.step with the slab and with the tables' keys, which have missed none. A row's gradient is
/// the sum over its occurrences, in their order, of the bag's gradient / the bag's length. Lazy: each row
/// counts its own steps, and a row without occurrences in a field with a gradient takes none. One launch.
template <class Real>
struct AdamStep {
  AdamArgs<Real> args;
};

/// The gradients that AdamStep would take of some rows of one table: out[k] is that of row keys[rows[k]].
template <class Real>
struct AdamRowGradients {
  AdamTable<Real> table;
  BagGradient<Real> gradients[AdamArgs<Real>::kMaxFields];
  const std::int32_t* rows;  // [out.rows], of the table's keys
  Matrix<Real> out;          // [rows x width of the table]
};

}  // namespace sllmr
