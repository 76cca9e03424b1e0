// How hot code is laid out: loops over the numbers of a row, what is inlined and what is not.
#pragma once

#include <type_traits>

#include "kernels/exec/types.h"

#if defined(__CUDACC__)
#define SLLMR_ROW_LOOP _Pragma("unroll")
#define SLLMR_UNROLL _Pragma("unroll")
#define SLLMR_INLINE SLLMR_HD __forceinline__
#define SLLMR_RARE SLLMR_HD inline
#define SLLMR_FLAT SLLMR_HD
#else
/// Vectorises the loop that follows; its iterations are independent.
#define SLLMR_ROW_LOOP _Pragma("omp simd")
/// Writes a short loop out, so that what it carries along stays in registers.
#define SLLMR_UNROLL _Pragma("GCC unroll 4")
/// A function that every row runs.
#define SLLMR_INLINE __attribute__((always_inline)) inline
/// A function for few of the rows: kept out of line, so that the others do not pay for its registers. (On
/// CUDA a call would cost more than it saves.)
#define SLLMR_RARE __attribute__((noinline))
/// A template or member into which the compiler inlines what it calls, so that its loops run in vectors
/// whoever wrote it; GCC 12 still leaves some large ones out. It stays out of line: inlined itself it would
/// lose that.
#define SLLMR_FLAT __attribute__((noinline, flatten))
#endif

namespace sllmr {

#if !defined(__CUDACC__)
/// Asks for the cache line of `address` ahead of its use.
inline void prefetch_line(const void* address) {
  __builtin_prefetch(address);
  asm volatile("");  // GCC 12 drops calls of functions that do nothing else
}
#endif

/// Calls action(std::bool_constant<flag>()), for a kernel that is compiled for both.
template <class Action>
void with_constant(bool flag, const Action& action) {
  if (flag) {
    action(std::true_type());
  } else {
    action(std::false_type());
  }
}

/// body(0), ..., body(N - 1), which do not depend on each other; on the CPU in vectors. Structs that the body
/// makes must live in it, not around it, for the compiler to take them apart.
template <int N, class Body>
SLLMR_INLINE void side_by_side(Body&& body) {
  if constexpr (N == 1) {
    body(0);
  } else {
    SLLMR_ROW_LOOP
    for (int k = 0; k < N; ++k) body(k);
  }
}

/// Adds up halves, so that the CPU can add whole vectors.
template <int Parts>
SLLMR_INLINE float sum_of(float (&part)[Parts]) {
  for (int half = Parts / 2; half > 0; half /= 2) {
    SLLMR_ROW_LOOP
    for (int k = 0; k < half; ++k) part[k] += part[half + k];
  }
  return part[0];
}

}  // namespace sllmr
