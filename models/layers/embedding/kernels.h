// Mean of the table rows of each bag of ids, for several fields at once, and its backward to a dense
// gradient.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// One field of a look-up. Bag b averages rows ids[begin[b]] .. ids[begin[b] + length[b] - 1] of the table.
template <class Real>
struct BagField {
  Matrix<const Real> table;  // [rows x width], contiguous
  const Id* ids;
  const std::int64_t* begin;   // [bags]
  const std::int32_t* length;  // [bags]
  Matrix<Real> out;            // [bags x width]
};

/// out[b] = sum of the bag's rows, in the order of its ids, / length; zero for an empty bag. One launch for
/// all fields, which have one width and one number of bags and are passed to the kernel by value; ids are not
/// checked.
template <class Real>
struct BagMeans {
  static constexpr int kMaxFields = 8;
  int n_fields = 0;  // at least 1
  BagField<Real> fields[kMaxFields] = {};
};

/// Replaces row keys[r] of d_table, r < n, by the sum of d_means / length over its occurrences in the wanted
/// field, in their order: no atomics. Other rows are left alone. The rows of a table that a batch touches and
/// their occurrences are as models/features.h's TablePlan has them; d_means is one field's.
template <class Real>
struct BagGradients {
  std::int64_t n;               // rows touched
  const Id* keys;               // [n], each once
  const std::int64_t* offsets;  // [n + 1]
  const std::int8_t* field;     // [offsets[n]]
  const std::int32_t* bag;      // [offsets[n]]
  std::int8_t wanted;           // the field; occurrences in others are passed over
  const std::int32_t* length;   // [bags]
  Matrix<const Real> d_means;   // [bags x width]
  Matrix<Real> d_table;         // [rows x width]
};

}  // namespace sllmr
