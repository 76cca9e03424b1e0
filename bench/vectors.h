// Item vectors for benchmarks.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>

#include "host/text/text_vectors.h"

namespace sllmr::bench {

/// Random vectors of `items` items and padding: a step takes as long whatever they say.
inline std::shared_ptr<const TextVectors> random_vectors(std::int64_t items, std::int64_t width) {
  auto vectors = std::make_shared<TextVectors>();
  vectors->width = width;
  vectors->values.resize(static_cast<std::size_t>((items + 1) * width));
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (std::int64_t item = 1; item <= items; ++item) {
    float* row = vectors->values.data() + item * width;
    float squares = 0;
    for (std::int64_t d = 0; d < width; ++d) {
      row[d] = normal(generator);
      squares += row[d] * row[d];
    }
    for (std::int64_t d = 0; d < width; ++d) row[d] /= std::sqrt(squares);
  }
  return vectors;
}

}  // namespace sllmr::bench
