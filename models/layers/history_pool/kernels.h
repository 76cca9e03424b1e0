// The pooled history of rows whose history stands position by position.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"
#include "models/features.h"

namespace sllmr {

/// Of a field of a sequence batch, from the means x [positions x width] of its positions' bags, the mean over
/// all ids of a row's history: out[r] = sum over r's positions p of length_p x_p / sum of length_p, zero
/// where there are no ids.
template <class Real>
struct HistoryPool {
  Bags bags;                           // [positions]
  const std::int64_t* first_position;  // [rows + 1]
  Matrix<const Real> x;
  Matrix<Real> out;  // [rows x width]
};

/// Backward: d_x[p] += length_p d_out[r] / sum of length_p.
template <class Real>
struct HistoryPoolBackward {
  Bags bags;
  const std::int64_t* first_position;
  Matrix<const Real> d_out;
  Matrix<Real> d_x;
};

}  // namespace sllmr
