// What the processor at hand can do, beyond what everything is compiled for.
#pragma once

namespace sllmr {

/// AVX-512 as in x86-64-v4.
inline bool has_avx512() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
                          __builtin_cpu_supports("avx512bw") != 0 &&
                          __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512cd") != 0;
  return has;
#else
  return false;
#endif
}

/// And sums of products of bytes (VNNI).
inline bool has_avx512_vnni() {
#if defined(__x86_64__)
  static const bool has = has_avx512() && __builtin_cpu_supports("avx512vnni") != 0;
  return has;
#else
  return false;
#endif
}

}  // namespace sllmr
