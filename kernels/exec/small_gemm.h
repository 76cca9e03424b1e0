// Matrix products of a tile, on the CPU: for matrices that lie in a core's cache, where packing them, as BLAS
// does, would cost a fifth of the time.
#pragma once

#include <cstdint>

namespace sllmr {

/// A matrix to be read by rows, or the transpose of one: element (r, c) is at data[r * stride + c], or at
/// data[c * stride + r].
template <class Real>
struct SmallMatrix {
  const Real* data;
  std::int64_t stride;
  bool transposed = false;
};

/// C [m x n] = A [m x k] B [k x n], added to C with `accumulate`; B and C row-major, `ldb` and `ldc` elements
/// between rows. Runs on the calling thread. The terms of an element are added in the order of k, whatever
/// the processor and the shape, so that any cut of a product into rows and columns has the same bits. Fastest
/// for n a multiple of 32 floats (16 doubles).
void small_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const SmallMatrix<float>& a, const float* b,
                std::int64_t ldb, bool accumulate, float* c, std::int64_t ldc);
void small_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const SmallMatrix<double>& a, const double* b,
                std::int64_t ldb, bool accumulate, double* c, std::int64_t ldc);

}  // namespace sllmr
