// Rows of floats, rounded to bytes.
#pragma once

#include <cstdint>

namespace sllmr {

/// The largest |x| of a row [width]; infinite where one is NaN or above 1e15, whose products could overflow.
float largest_of(const float* row, std::int64_t width);

/// What a step is worth where the largest |x| is 127 of them. Never so small that 1 / scale is infinite.
float scale_of(float largest);

/// Upper bounds, for widths up to 1,024.
struct RoundedRow {
  float whole = 0;     // the row's length
  float rounded = 0;   // the rounded row's
  float residual = 0;  // of what rounding left
};

/// to [width]: the nearest to row / scale, of a scale that takes none above 127.
RoundedRow round_row(const float* row, std::int64_t width, float scale, std::int8_t* to);

}  // namespace sllmr
