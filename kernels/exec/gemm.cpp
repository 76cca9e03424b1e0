#include "kernels/exec/gemm.h"

#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <limits>
#include <string>

#include "kernels/exec/cuda_check.h"
#include "kernels/exec/tiles.h"

namespace sllmr {

namespace {

// One name for both precisions.
constexpr auto cblas_gemm = [](auto... args) {
  if constexpr ((std::is_same_v<decltype(args), double> || ...)) {
    cblas_dgemm(args...);
  } else {
    cblas_sgemm(args...);
  }
};
#if SLLMR_WITH_CUDA
constexpr auto cublas_gemm = [](auto... args) {
  if constexpr ((std::is_same_v<decltype(args), double*> || ...)) {
    return cublas().dgemm(args...);
  } else {
    return cublas().sgemm(args...);
  }
};
#endif

/// Strips of rows or columns of C, computed one after another or by as many threads as there are. OpenBLAS's
/// own way of sharing a product rounds differently with every number of threads, and is slow for the small
/// products of a batch; strips depend on the shape alone.
struct Strips {
  static constexpr double kSerial = 65536.0 * 4;  // multiplications up to which OpenBLAS takes one thread
  static constexpr double kPerStrip = 5e6;
  static constexpr std::int64_t kMost = 64, kLeast = 32, kMultiple = 8;

  Strips(std::int64_t m, std::int64_t n, std::int64_t k) : of_rows(m >= n), extent(of_rows ? m : n) {
    const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    std::int64_t wanted = work > kSerial ? 2 : 1;
    while (wanted < kMost && static_cast<double>(wanted) * kPerStrip < work &&
           extent >= 2 * wanted * kLeast) {
      wanted *= 2;
    }
    size = (extent + wanted - 1) / wanted;
    if (size > kMultiple) size = (size + kMultiple - 1) / kMultiple * kMultiple;
  }
  std::int64_t count() const { return (extent + size - 1) / size; }
  std::int64_t first(std::int64_t strip) const { return strip * size; }
  std::int64_t size_of(std::int64_t strip) const { return std::min(size, extent - first(strip)); }

  bool of_rows;
  std::int64_t extent, size;
};

std::string shape_of(std::int64_t rows, std::int64_t cols) {
  return "[" + std::to_string(rows) + " x " + std::to_string(cols) + "]";
}

/// Else OpenBLAS would share a strip out on threads of its own. It asks OpenMP, which knows each thread
/// apart.
void keep_blas_alone() {
  thread_local bool done = false;
  if (!done) omp_set_num_threads(1);
  done = true;
}

/// to = a b + keep * to.
template <class Real>
void product(const Context& context, const Factor<Real>& a, const Factor<Real>& b, const Matrix<Real>& to,
             Real keep) {
  if (a.cols() != b.rows() || to.rows != a.rows() || to.cols != b.cols()) {
    throw Error("a product of " + shape_of(a.rows(), a.cols()) + " and " + shape_of(b.rows(), b.cols()) +
                " does not fit " + shape_of(to.rows, to.cols));
  }
  const std::int64_t m = to.rows, n = to.cols, k = a.cols();
  constexpr std::int64_t kLimit = std::numeric_limits<int>::max();
  require(m <= kLimit && n <= kLimit && k <= kLimit, "gemm: a dimension is over 2^31 - 1: use smaller tiles");
  if (m == 0 || n == 0) return;
  const auto as_int = [](std::int64_t x) { return static_cast<int>(x); };
  const int lda = as_int(a.of.stride), ldb = as_int(b.of.stride), ldc = as_int(to.stride);
  const Real one = 1;
#if SLLMR_WITH_CUDA
  if (context.device() == Device::cuda) {
    // Row-major C = A B is column-major C' = B' A'.
    const auto op = [](const Factor<Real>& f) { return f.transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
    SLLMR_CUDA_CHECK(cublas_gemm(static_cast<cublasHandle_t>(context.blas()), op(b), op(a), as_int(n),
                                 as_int(m), as_int(k), &one, b.of.data, ldb, a.of.data, lda, &keep, to.data,
                                 ldc));
    return;
  }
#endif
  const auto op = [](const Factor<Real>& f) { return f.transposed ? CblasTrans : CblasNoTrans; };
  const Strips strips(m, n, k);
  for_tiles(context, strips.count(), [&](std::int64_t strip, int) {
    keep_blas_alone();
    const std::int64_t first = strips.first(strip), size = strips.size_of(strip);
    if (strips.of_rows) {
      cblas_gemm(CblasRowMajor, op(a), op(b), as_int(size), as_int(n), as_int(k), one,
                 a.of.data + first * (a.transposed ? 1 : a.of.stride), lda, b.of.data, ldb, keep,
                 to.row(first), ldc);
    } else {
      cblas_gemm(CblasRowMajor, op(a), op(b), as_int(m), as_int(size), as_int(k), one, a.of.data, lda,
                 b.of.data + first * (b.transposed ? b.of.stride : 1), ldb, keep, to.data + first, ldc);
    }
  });
}

}  // namespace

void multiply(const Context& context, const Factor<float>& a, const Factor<float>& b,
              const Matrix<float>& to) {
  product(context, a, b, to, 0.0F);
}
void multiply(const Context& context, const Factor<double>& a, const Factor<double>& b,
              const Matrix<double>& to) {
  product(context, a, b, to, 0.0);
}
void multiply_add(const Context& context, const Factor<float>& a, const Factor<float>& b,
                  const Matrix<float>& to) {
  product(context, a, b, to, 1.0F);
}
void multiply_add(const Context& context, const Factor<double>& a, const Factor<double>& b,
                  const Matrix<double>& to) {
  product(context, a, b, to, 1.0);
}

}  // namespace sllmr
