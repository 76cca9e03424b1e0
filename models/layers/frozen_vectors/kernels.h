// Means of frozen vectors over what a row refers to, and those of its user.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"
#include "models/features.h"

namespace sllmr {

/// out[r] = mean of the rows of `table` that the ids of row r's bags name, in their order; zero where there
/// are none. Row r has bag r or, with `first_position`, bags first_position[r] .. first_position[r + 1] - 1.
/// Ids are not checked.
template <class Real>
struct VectorMeans {
  Matrix<const Real> table;  // [ids x width]
  Bags bags;
  const std::int64_t* first_position = nullptr;  // [rows + 1]
  Matrix<Real> out;                              // [rows x width]
};

/// out[r] = the row of `table` of row r's user, where the bags of row r's history, which are told as above,
/// name least[user] ids or more; other rows stay as they are.
template <class Real>
struct UserVectorRows {
  Matrix<const Real> table;             // [users x width]
  const std::int32_t* least = nullptr;  // [users]
  Bags users, histories;
  const std::int64_t* first_position = nullptr;  // [rows + 1]
  Matrix<Real> out;                              // [rows x width]
};

}  // namespace sllmr
