// Loops over the numbers of a row: vectorised on the CPU, unrolled on CUDA.
#pragma once

#define SLLMR_PRAGMA(text) _Pragma(#text)

#if defined(__CUDACC__)
#define SLLMR_ROW_LOOP _Pragma("unroll")
#define SLLMR_SUM_LOOP(...) _Pragma("unroll")
#else
/// Iterations are independent.
#define SLLMR_ROW_LOOP _Pragma("omp simd")
/// Iterations only add to the named variables.
#define SLLMR_SUM_LOOP(...) SLLMR_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#endif
