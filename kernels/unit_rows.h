// Rows of a matrix in unit length, and backward.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// unit[k] = scale[k] x[rows[k]], scale[k] = 1 / sqrt(|x[rows[k]]|^2 + 1e-8): 1 long but for rows of zeros.
struct UnitRows {
  Matrix<const float> x;  // [... x width]
  const Id* rows;         // [unit.rows]; null: row k itself
  Matrix<float> unit;     // [n x width]
  float* scale;           // [n]
};

/// d_x[r] = the gradient by x[r] of the unit row that place[r] says: its own, no other row of x shares it.
/// Zero where place[r] is no row of `unit`.
struct UnitRowsBackward {
  Matrix<const float> unit, d_unit;  // [n x width]
  const float* scale;                // [n]
  const Id* place;                   // [d_x.rows], at least 0; null: r itself
  Matrix<float> d_x;
};

}  // namespace sllmr
