// Sizes that come from a configuration, a file or a catalogue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "kernels/exec/error.h"

namespace sllmr {

/// The product of `factors` as a number of elements or bytes. Throws Error where one is negative and where
/// the product is more than any memory could hold, 2^63 - 1.
template <class... Factors>
std::size_t size_product(Factors... factors) {
  std::size_t product = 1;
  const bool fits = (... && (std::in_range<std::size_t>(factors) &&
                             !__builtin_mul_overflow(product, static_cast<std::size_t>(factors), &product)));
  if (fits && product <= static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max())) return product;
  std::string text;
  (..., (text += (text.empty() ? "" : " x ") + std::to_string(factors)));
  throw Error("out of memory: a size of " + text + " asked for; use a smaller width or batch");
}

}  // namespace sllmr
