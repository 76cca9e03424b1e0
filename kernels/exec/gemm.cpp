#include "kernels/exec/gemm.h"

#include <cblas.h>

#include <limits>

#include "kernels/exec/cuda_check.h"

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
    return cublasDgemm(args...);
  } else {
    return cublasSgemm(args...);
  }
};
#endif

template <class Real>
void run_gemm(const Context& context, Transpose a_op, Transpose b_op, std::int64_t m, std::int64_t n,
              std::int64_t k, Real alpha, const Real* a, std::int64_t lda, const Real* b, std::int64_t ldb,
              Real beta, Real* c, std::int64_t ldc) {
  constexpr std::int64_t kLimit = std::numeric_limits<int>::max();
  require(m <= kLimit && n <= kLimit && k <= kLimit, "gemm: a dimension is over 2^31 - 1: use smaller tiles");
  if (m == 0 || n == 0) return;
  const auto as_int = [](std::int64_t x) { return static_cast<int>(x); };
#if SLLMR_WITH_CUDA
  if (context.device() == Device::cuda) {
    // Row-major C = A B is column-major C' = B' A'.
    const auto op = [](Transpose t) { return t == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N; };
    SLLMR_CUDA_CHECK(cublas_gemm(static_cast<cublasHandle_t>(context.blas()), op(b_op), op(a_op), as_int(n),
                                 as_int(m), as_int(k), &alpha, b, as_int(ldb), a, as_int(lda), &beta, c,
                                 as_int(ldc)));
    return;
  }
#endif
  static_cast<void>(context);
  const auto op = [](Transpose t) { return t == Transpose::yes ? CblasTrans : CblasNoTrans; };
  cblas_gemm(CblasRowMajor, op(a_op), op(b_op), as_int(m), as_int(n), as_int(k), alpha, a, as_int(lda), b,
             as_int(ldb), beta, c, as_int(ldc));
}

}  // namespace

void gemm(const Context& context, Transpose a_op, Transpose b_op, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
          float beta, float* c, std::int64_t ldc) {
  run_gemm(context, a_op, b_op, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void gemm(const Context& context, Transpose a_op, Transpose b_op, std::int64_t m, std::int64_t n,
          std::int64_t k, double alpha, const double* a, std::int64_t lda, const double* b, std::int64_t ldb,
          double beta, double* c, std::int64_t ldc) {
  run_gemm(context, a_op, b_op, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace sllmr
