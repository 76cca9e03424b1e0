// Products of all pairs of fields: the second-order term of factorisation machines (Rendle, ICDM 2010).
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// out [rows x 1] = sum over f < g of <x_f, x_g>; x [rows x fields * width], one field's vector after the
/// other.
template <class Real>
struct FmForward {
  Matrix<const Real> x;
  int fields, width;
  Matrix<Real> out;
};

/// d_x_f = d_out * sum over g != f of x_g, of the shapes above; added to d_x with `accumulate`.
template <class Real>
struct FmBackward {
  Matrix<const Real> x;
  int fields, width;
  Matrix<const Real> d_out;
  Matrix<Real> d_x;
  bool accumulate;
};

}  // namespace sllmr
