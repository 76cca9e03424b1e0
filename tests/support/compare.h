// Comparing numbers in tests. A NaN or an infinity is never close to anything, on either side.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ranges>

namespace sllmr {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// |x - y| <= absolute + relative * max(|x|, |y|): which of the two is the reference does not matter.
struct Tolerance {
  double absolute = 0, relative = 0;
};

inline bool is_close(double x, double y, Tolerance tolerance) {
  if (!std::isfinite(x) || !std::isfinite(y)) return false;
  return std::fabs(x - y) <= tolerance.absolute + tolerance.relative * std::max(std::fabs(x), std::fabs(y));
}

/// is_close as an assertion that prints both numbers.
inline testing::AssertionResult near(double x, double reference, Tolerance tolerance) {
  if (is_close(x, reference, tolerance)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << x << " is not near " << reference << ", off by " << x - reference;
}

/// Element by element, and of the same size; reports the first difference and how many there are.
template <std::ranges::random_access_range Values, std::ranges::random_access_range References>
testing::AssertionResult all_near(const Values& values, const References& reference, Tolerance tolerance) {
  const std::size_t size = std::ranges::size(values);
  if (size != std::ranges::size(reference)) {
    return testing::AssertionFailure()
           << size << " values, but " << std::ranges::size(reference) << " in the reference";
  }
  std::size_t first = size, count = 0;
  for (std::size_t k = 0; k < size; ++k) {
    if (is_close(static_cast<double>(values[k]), static_cast<double>(reference[k]), tolerance)) continue;
    first = std::min(first, k);
    ++count;
  }
  if (count == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << count << " of " << size << " differ, first at [" << first
                                     << "]: " << values[first] << ", reference " << reference[first];
}

/// max |x - reference| / max |reference| of a whole tensor; infinite where it has no meaning: different
/// sizes, anything not finite, or a reference of zeros that the values do not share.
template <std::ranges::random_access_range Values, std::ranges::random_access_range References>
double norm_error(const Values& values, const References& reference) {
  if (std::ranges::size(values) != std::ranges::size(reference)) return kInfinity;
  double largest = 0, difference = 0;
  for (std::size_t k = 0; k < std::ranges::size(values); ++k) {
    const auto x = static_cast<double>(values[k]), y = static_cast<double>(reference[k]);
    if (!std::isfinite(x) || !std::isfinite(y)) return kInfinity;
    largest = std::max(largest, std::fabs(y));
    difference = std::max(difference, std::fabs(x - y));
  }
  if (difference == 0) return 0;
  return largest > 0 ? difference / largest : kInfinity;
}

}  // namespace sllmr
