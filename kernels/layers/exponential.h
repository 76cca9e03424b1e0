// e^x in a form that loops vectorise.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/exec/loops.h"

namespace sllmr {

inline SLLMR_HD double exp_of(double x) {
  return std::exp(x);
}
/// Within 2e-7 of e^x, relatively, for -87 <= x <= 88; x is taken to the nearer end outside, NaN stays NaN.
SLLMR_INLINE float exp_of(float x) {
  // e^x = 2^n e^r, |r| <= ln 2 / 2: adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. n
  // times the first part of ln 2 is exact.
  constexpr float kRound = 12582912.0F, kLog2e = 1.442695041F;
  constexpr float kLn2 = 0.693359375F, kLn2Rest = -2.12194440e-4F;
  const float bounded = x < -87.0F ? -87.0F : x > 88.0F ? 88.0F : x;
  const float shifted = bounded * kLog2e + kRound;
  const float n = shifted - kRound;
  const float r = bounded - n * kLn2 - n * kLn2Rest;
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
  return power * scale;
}

}  // namespace sllmr
