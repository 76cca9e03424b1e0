#pragma once

#include <cstddef>
#include <iterator>

namespace sllmr {

/// Agreement of a user: the share of the user's other entries whose value is below the probe's, ties half.
/// NaN where the probe is alone.
template <class Values>
double agreement(const Values& values, std::size_t probe) {
  double below = -0.5;  // the probe ties with itself
  for (const auto value : values) below += value < values[probe] ? 1.0 : value == values[probe] ? 0.5 : 0.0;
  return below / static_cast<double>(std::size(values) - 1);
}

}  // namespace sllmr
