// Dense matrix products: cuBLAS on CUDA, OpenBLAS on the CPU.
#pragma once

#include <cstdint>

#include "kernels/exec/context.h"

namespace sllmr {

enum class Transpose { no, yes };

/// C [m x n] = alpha * op(A) [m x k] * op(B) [k x n] + beta * C, row-major; `ld*` are row strides in
/// elements. Inside a parallel region each thread computes its own product; outside, all threads share one.
/// Asynchronous on CUDA.
void gemm(const Context& context, Transpose a_op, Transpose b_op, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
          float beta, float* c, std::int64_t ldc);
void gemm(const Context& context, Transpose a_op, Transpose b_op, std::int64_t m, std::int64_t n,
          std::int64_t k, double alpha, const double* a, std::int64_t lda, const double* b, std::int64_t ldb,
          double beta, double* c, std::int64_t ldc);

}  // namespace sllmr
