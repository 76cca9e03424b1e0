// Comparing gradients and state of dense parameters.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "models/layers/parameters.h"

namespace sllmr {

/// Largest |x - reference| of each part by itself, so that a large part hides no small one: within
/// `tolerance` of the part's largest |reference|, or of a thousandth of the slab's, for parts that are zero
/// but for rounding. `trained`: which of the two slabs these are. Nothing that is not finite passes.
template <class Real, class Values, class References>
void expect_parts_near(const Parameters<Real>& parameters, bool trained, const std::vector<Values>& values,
                       const std::vector<References>& reference, double tolerance) {
  ASSERT_EQ(values.size(), reference.size());
  double slab = 0;
  for (const References x : reference) slab = std::max(slab, std::fabs(static_cast<double>(x)));
  for (const auto& part : parameters.parts()) {
    if (part.trained != trained) continue;
    ASSERT_LE(static_cast<std::size_t>(part.offset + part.size), values.size());
    double largest = 1e-3 * slab, difference = 0;
    for (std::int64_t k = part.offset; k < part.offset + part.size; ++k) {
      const auto x = static_cast<double>(values[static_cast<std::size_t>(k)]),
                 y = static_cast<double>(reference[static_cast<std::size_t>(k)]);
      ASSERT_TRUE(std::isfinite(x) && std::isfinite(y)) << part.name << " at " << k - part.offset;
      largest = std::max(largest, std::fabs(y));
      difference = std::max(difference, std::fabs(x - y));
    }
    EXPECT_LE(difference, tolerance * largest) << part.name;
  }
}

}  // namespace sllmr
