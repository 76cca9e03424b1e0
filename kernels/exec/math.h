// Functions of one number that loops on the CPU can vectorise, the same on both machines.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/exec/loops.h"

namespace sllmr {

inline SLLMR_HD double exp_of(double x) {
  return std::exp(x);
}
/// e^x within 3e-7 of it for |x| <= 87; 0 below, e^87 above. NaN for NaN.
SLLMR_INLINE float exp_of(float x) {
  // e^x = 2^n 2^f, |f| <= 1/2: adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float kRound = 12582912.0F, kLog2e = 1.442695041F, kBound = 87.0F;
  const float bounded = x < -kBound ? -kBound : x > kBound ? kBound : x;
  const float shifted = bounded * kLog2e + kRound;
  const float n = shifted - kRound;
  // ln 2 in two parts, so that the remainder keeps its digits where n is large.
  constexpr float kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  const float r = (bounded - n * kLn2High) - n * kLn2Low;
  // 1 / k!
  float power = 1.388888889e-3F;
  power = power * r + 8.333333333e-3F;
  power = power * r + 4.166666667e-2F;
  power = power * r + 1.666666667e-1F;
  power = power * r + 0.5F;
  power = power * r + 1.0F;
  power = power * r + 1.0F;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + 0x3F800000U;
  float scale = 0;
  std::memcpy(&scale, &bits, sizeof scale);
  return x < -kBound ? 0.0F : power * scale;
}

template <class Real>
SLLMR_INLINE Real sigmoid_of(Real x) {
  return Real(1) / (Real(1) + exp_of(-x));
}

inline SLLMR_HD double log_of(double x) {
  return std::log(x);
}
/// log x within 3e-7 of it; -infinity from 0 to the smallest normal number, infinity for infinity, NaN for
/// NaN and below 0.
SLLMR_INLINE float log_of(float x) {
#if defined(__CUDA_ARCH__)
  return std::log(x);  // with fewer registers
#else
  // x = 2^n m, m in [sqrt(1/2), sqrt(2)): log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.172.
  constexpr std::uint32_t kSqrtHalf = 0x3F3504F3U, kMantissa = 0x007FFFFFU;
  constexpr float kSmallest = 1.17549435e-38F;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t from = bits - kSqrtHalf + 0x3F800000U;
  const auto n = static_cast<float>(static_cast<std::int32_t>(from >> 23) - 127);
  bits = (from & kMantissa) + kSqrtHalf;
  float m = 0;
  std::memcpy(&m, &bits, sizeof m);
  const float s = (m - 1.0F) / (m + 1.0F), square = s * s;
  float series = 1.0F / 9.0F;
  series = series * square + 1.0F / 7.0F;
  series = series * square + 1.0F / 5.0F;
  series = series * square + 1.0F / 3.0F;
  series = series * square + 1.0F;
  // ln 2 in two parts, so that the sum keeps its digits where n is large.
  constexpr float kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  const float log = n * kLn2High + (n * kLn2Low + 2.0F * s * series);
  const float of_small = x < 0.0F ? NAN : -INFINITY;
  return x < kSmallest ? of_small : x < INFINITY ? log : x;  // infinity and NaN are their own logarithm
#endif
}

inline SLLMR_HD double log1p_of_share(double x) {
  return std::log1p(x);
}
/// log(1 + x) within 2e-7 of it for x in [0, 1]; NaN for NaN.
SLLMR_INLINE float log1p_of_share(float x) {
  // 2 atanh(s), s = x / (2 + x) <= 1/3: 2 s (1 + s^2 / 3 + s^4 / 5 + ...).
  const float s = x / (2.0F + x), square = s * s;
  float series = 1.0F / 13.0F;
  series = series * square + 1.0F / 11.0F;
  series = series * square + 1.0F / 9.0F;
  series = series * square + 1.0F / 7.0F;
  series = series * square + 1.0F / 5.0F;
  series = series * square + 1.0F / 3.0F;
  series = series * square + 1.0F;
  return 2.0F * s * series;
}

inline SLLMR_HD double tanh_of(double x) {
  return std::tanh(x);
}
/// Within 3e-7 of tanh x; NaN for NaN.
SLLMR_INLINE float tanh_of(float x) {
  return 1.0F - 2.0F / (exp_of(2.0F * x) + 1.0F);
}

}  // namespace sllmr
