// How hot code is laid out: loops over the numbers of a row, what is inlined and what is not.
#pragma once

#include "kernels/exec/types.h"

#if defined(__CUDACC__)
#define SLLMR_ROW_LOOP _Pragma("unroll")
#define SLLMR_INLINE SLLMR_HD __forceinline__
#define SLLMR_RARE SLLMR_HD inline
#else
/// Vectorises the loop that follows; its iterations are independent.
#define SLLMR_ROW_LOOP _Pragma("omp simd")
/// A function that every row runs.
#define SLLMR_INLINE __attribute__((always_inline)) inline
/// A function for few of the rows: kept out of line, so that the others do not pay for its registers. (On
/// CUDA a call would cost more than it saves.)
#define SLLMR_RARE __attribute__((noinline))
#endif
