#pragma once

#include <cstddef>

namespace sllmr {

/// Agreement of a user: the share of the user's other entries that `value(k)`, k in [0, count), puts below
/// the probe's, ties half. NaN where the probe is alone.
template <class Value>
double agreement(std::size_t count, std::size_t probe, Value&& value) {
  double below = -0.5;  // the probe ties with itself
  for (std::size_t k = 0; k < count; ++k)
    below += value(k) < value(probe) ? 1.0 : value(k) == value(probe) ? 0.5 : 0.0;
  return below / static_cast<double>(count - 1);
}

}  // namespace sllmr
