// The elementwise part of DCNv2's cross layers.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// u += bias [cols]; out = x0 * u + x. All matrices [rows x cols].
template <class Real>
struct CrossStep {
  Matrix<const Real> x0, x;
  const Real* bias;
  Matrix<Real> u, out;
};

/// Backward of CrossStep: d_u = d_out * x0, d_bias = its sum over the rows, d_x = d_out, d_x0 (+)= d_out * u.
template <class Real>
struct CrossStepBackward {
  Matrix<const Real> x0, u, d_out;
  Matrix<Real> d_u, d_x0;
  bool top;     // the last step of the net, so the first of backward: d_x0 is replaced
  bool bottom;  // x is x0, so d_x gets all of d_x0 as well, and d_x0 itself nothing
  Matrix<Real> d_x;
  Real* d_bias;
};

}  // namespace sllmr
