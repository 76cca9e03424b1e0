// Reading rows of embedding tables: gathers and row-by-row products, for any width.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// out [n x width]: rows ids[0], ids[1], ... of table [rows x width]. Both have no gaps between rows and
/// begin at multiples of 16 bytes, as all that Buffer and Tensor allocate.
struct GatherRows {
  Matrix<const float> table;
  const Id* ids;  // [n]
  Matrix<float> out;
};

/// out[k] = users[user_ids[k]] . items[item_ids[k]] for k < n; tables of [rows x width].
struct DotRows {
  Matrix<const float> users, items;
  const Id* user_ids;  // [n]
  const Id* item_ids;  // [n]
  std::int64_t n;
  float* out;  // [n]
};

}  // namespace sllmr
