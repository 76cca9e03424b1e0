// Sums over rows, and the linear layer of a single output.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// out [cols] = the sum of the rows of x [rows x cols].
template <class Real>
struct SumRows {
  Matrix<const Real> x;
  Real* out;
};

/// out [rows x 1] = x [rows x cols] . weight [cols] + bias[0].
template <class Real>
struct RowProducts {
  Matrix<const Real> x;
  const Real* weight;
  const Real* bias;
  Matrix<Real> out;
};

/// d_x [rows x cols] = d_out [rows x 1] * weight [cols], d_weight [cols] = sum over rows of d_out * x, in one
/// pass.
template <class Real>
struct RowProductsBackward {
  Matrix<const Real> x;
  const Real* weight;
  Matrix<const Real> d_out;
  Matrix<Real> d_x;
  Real* d_weight;
};

}  // namespace sllmr
