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

/// x [k x cols] above zeros, [rows x cols]; x itself where it has as many rows.
template <class Real>
Tensor<Real> with_zero_rows(const Context& context, const Tensor<Real>& x, std::int64_t rows) {
  if (rows == x.rows()) return x;
  auto out = Tensor<Real>::zeros(context, rows, x.cols());
  run(context, AddTo<Real>{.x = x, .to = out.row_range(0, x.rows())});
  return out;
}

}  // namespace sllmr
