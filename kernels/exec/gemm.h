// Dense matrix products: cuBLAS on CUDA, OpenBLAS on the CPU.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"

namespace sllmr {

/// One factor of a product: a matrix as it stands, or transposed.
template <class Real>
struct Factor {
  Factor(const Matrix<const Real>& matrix, bool transpose = false)  // NOLINT(google-explicit-constructor)
      : of(matrix), transposed(transpose) {}
  Factor(const Matrix<Real>& matrix) : of(matrix) {}  // NOLINT(google-explicit-constructor)
  Factor(const Tensor<Real>& tensor) : of(tensor) {}  // NOLINT(google-explicit-constructor)

  std::int64_t rows() const { return transposed ? of.cols : of.rows; }
  std::int64_t cols() const { return transposed ? of.rows : of.cols; }

  Matrix<const Real> of;
  bool transposed = false;
};
template <class Real>
Factor<Real> transposed(const Tensor<Real>& of) {
  return {Matrix<const Real>(of), true};
}
template <class T>
Factor<std::remove_const_t<T>> transposed(const Matrix<T>& of) {
  return {Matrix<const T>(of), true};
}

/// to [m x n] = a [m x k] b [k x n]. Inside a parallel region each thread computes its own product; outside,
/// all threads share one. Asynchronous on CUDA. Throws Error where the shapes do not fit.
void multiply(const Context& context, const Factor<float>& a, const Factor<float>& b,
              const Matrix<float>& to);
void multiply(const Context& context, const Factor<double>& a, const Factor<double>& b,
              const Matrix<double>& to);
/// to += a b.
void multiply_add(const Context& context, const Factor<float>& a, const Factor<float>& b,
                  const Matrix<float>& to);
void multiply_add(const Context& context, const Factor<double>& a, const Factor<double>& b,
                  const Matrix<double>& to);

/// [m x n]: products of the rows of a [m x k] with those of b [n x k].
template <class Real>
Tensor<Real> products(const Context& context, const Tensor<Real>& a, const Matrix<const Real>& b) {
  Tensor<Real> out(context, a.rows(), b.rows);
  multiply(context, a, transposed(b), out);
  return out;
}

}  // namespace sllmr
