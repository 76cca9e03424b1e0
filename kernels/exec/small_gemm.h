// Matrix products of a tile, on the CPU: for matrices that lie in a core's cache, where packing them, as BLAS
// does, would cost a fifth of the time.
#pragma once

#include "kernels/exec/gemm.h"

namespace sllmr {

/// to [m x n] = a [m x k] b [k x n]. Runs on the calling thread. The terms of an element are added in the
/// order of k, whatever the processor and the shape, so that any cut of a product into rows and columns has
/// the same bits. Fastest for n a multiple of 32 floats (16 doubles). Throws Error where the shapes do not
/// fit.
void small_multiply(const Factor<float>& a, const Matrix<const float>& b, const Matrix<float>& to);
void small_multiply(const Factor<double>& a, const Matrix<const double>& b, const Matrix<double>& to);
/// to += a b.
void small_multiply_add(const Factor<float>& a, const Matrix<const float>& b, const Matrix<float>& to);
void small_multiply_add(const Factor<double>& a, const Matrix<const double>& b, const Matrix<double>& to);

}  // namespace sllmr
