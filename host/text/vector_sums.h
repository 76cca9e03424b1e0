// Sums of items' text vectors: of a history, of a user's training items.
#pragma once

#include <span>

#include "host/text/text_vectors.h"

namespace sllmr {

/// Adds the vectors of `items` to `sum` [width].
template <class Real>
void add_vectors(const TextVectors& vectors, std::span<const Id> items, std::span<Real> sum) {
  for (const Id item : items) {
    const std::span<const float> of_item = vectors.of(item);
    for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += static_cast<Real>(of_item[k]);
  }
}

}  // namespace sllmr
