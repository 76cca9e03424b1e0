// Matrices side by side, and their sum.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// out [rows x left.cols + right.cols] = [left, right]. Backward takes no work: Tensor::columns.
template <class Real>
struct Concatenate {
  Matrix<const Real> left, right;
  Matrix<Real> out;
};

/// to += x, of one shape.
template <class Real>
struct AddTo {
  Matrix<const Real> x;
  Matrix<Real> to;
};

/// out = relu(a + b), of one shape; out may be a or b. NaN stays NaN.
template <class Real>
struct AddRelu {
  Matrix<const Real> a, b;
  Matrix<Real> out;
};

}  // namespace sllmr
