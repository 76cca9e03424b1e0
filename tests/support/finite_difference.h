// Gradients against central differences, in double precision.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace sllmr {

/// Largest |analytic - numeric| relative to the largest |numeric| of all (or 1e-3, where all are smaller),
/// over central differences of `loss()` in each element of `x`, which lies on the CPU. NaN anywhere gives
/// infinity.
template <class Loss>
double gradient_error(std::span<double> x, std::span<const double> analytic, const Loss& loss,
                      double step = 1e-5) {
  double error = 0, scale = 1e-3;
  if (x.size() != analytic.size()) return HUGE_VAL;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const double kept = x[k];
    x[k] = kept + step;
    const double above = loss();
    x[k] = kept - step;
    const double below = loss();
    x[k] = kept;
    const double numeric = (above - below) / (2 * step);
    const double difference = std::fabs(analytic[k] - numeric);
    if (!std::isfinite(difference)) return HUGE_VAL;
    error = std::max(error, difference);
    scale = std::max(scale, std::fabs(numeric));
  }
  return error / scale;
}

inline constexpr double kGradientTolerance = 1e-6;

}  // namespace sllmr
