// What kernels and products see of a Tensor or of a part of the parameters; and inner products.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/exec/loops.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

/// A matrix [rows x cols] in memory that somebody else owns, `stride` elements between rows. Of a
/// Matrix<const Real> the elements are only read.
template <class T>
struct Matrix {
  using Real = std::remove_const_t<T>;

  Matrix() = default;
  Matrix(T* first, std::int64_t of_rows, std::int64_t of_cols) : Matrix(first, of_rows, of_cols, of_cols) {}
  Matrix(T* first, std::int64_t of_rows, std::int64_t of_cols, std::int64_t between_rows)
      : data(first), rows(of_rows), cols(of_cols), stride(between_rows) {}
  Matrix(const Tensor<Real>& tensor)  // NOLINT(google-explicit-constructor): a tensor is taken as it is
      : Matrix(tensor.data(), tensor.rows(), tensor.cols(), tensor.stride()) {}
  template <class Other>
  requires std::is_same_v<const Other, T> Matrix(
      const Matrix<Other>& other)  // NOLINT(google-explicit-constructor): what may be written may be read
      : Matrix(other.data, other.rows, other.cols, other.stride) {}

  SLLMR_HD T* row(std::int64_t r) const { return data + r * stride; }
  /// Columns first .. first + count - 1.
  Matrix columns(std::int64_t first, std::int64_t count) const {
    require(first >= 0 && count >= 0 && first + count <= cols, "Matrix::columns: out of range");
    return {data + first, rows, count, stride};
  }
  /// Rows first .. first + count - 1.
  Matrix row_range(std::int64_t first, std::int64_t count) const {
    require(first >= 0 && count >= 0 && first + count <= rows, "Matrix::row_range: out of range");
    return {row(first), count, cols, stride};
  }

  T* data = nullptr;
  std::int64_t rows = 0, cols = 0, stride = 0;
};

/// sum over k < n of term(k), the same in all lanes. On the CPU sixteen running sums, so that it vectorises;
/// their order depends on n alone.
template <class Real, class Lanes, class Term>
SLLMR_INLINE Real sum_of(Lanes lanes, std::int64_t n, const Term& term) {
  if constexpr (Lanes::size == 1) {
    constexpr int kSums = 16;
    Real sum[kSums] = {};
    std::int64_t k = 0;
    for (; k + kSums <= n; k += kSums) {
      SLLMR_ROW_LOOP
      for (int j = 0; j < kSums; ++j) sum[j] += term(k + j);
    }
    Real total = 0;
    for (int j = 0; j < kSums; ++j) total += sum[j];
    for (; k < n; ++k) total += term(k);
    return total;
  } else {
    Real sum = 0;
    for (std::int64_t k = lanes.lane(); k < n; k += Lanes::size) sum += term(k);
    return lanes.sum(sum);
  }
}

}  // namespace sllmr
