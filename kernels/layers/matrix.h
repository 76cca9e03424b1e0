// What kernel bodies of layers see of a Tensor, and their inner products.
#pragma once

#include <cstdint>

#include "kernels/exec/loops.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

/// A matrix, possibly a slice of columns of a wider one.
template <class Real>
struct Matrix {
  Real* data = nullptr;
  std::int64_t stride = 0;  // elements between rows

  SLLMR_HD Real* row(std::int64_t r) const { return data + r * stride; }
};

template <class Real>
Matrix<Real> matrix(const Tensor<Real>& tensor) {
  return {tensor.data(), tensor.stride()};
}

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
