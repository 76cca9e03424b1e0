#include "kernels/byte_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sllmr {

namespace {

constexpr float kSteps = 127, kSmallest = 1e-12F, kLargest = 1e15F;

/// The length of which this is the square, which was rounded once a term.
float length_of(float square) {
  constexpr float kRoundedUp = 1.0001F;
  return std::sqrt(square) * kRoundedUp;
}

}  // namespace

float largest_of(const float* row, std::int64_t width) {
  float largest = 0;
  bool regular = true;
  for (std::int64_t k = 0; k < width; ++k) {
    const float size = std::abs(row[k]);
    largest = size > largest ? size : largest;
    regular &= size <= kLargest;
  }
  return regular ? largest : std::numeric_limits<float>::infinity();
}

float scale_of(float largest) {
  return std::max(largest, kSmallest) / kSteps;
}

RoundedRow round_row(const float* row, std::int64_t width, float scale, std::int8_t* to) {
  float whole = 0, rounded = 0, residual = 0;
  for (std::int64_t k = 0; k < width; ++k) {
    const float steps = std::rint(row[k] / scale), near = steps * scale, left = row[k] - near;
    to[k] = static_cast<std::int8_t>(steps);
    whole += row[k] * row[k];
    rounded += near * near;
    residual += left * left;
  }
  return {length_of(whole), length_of(rounded), length_of(residual)};
}

}  // namespace sllmr
