// How backbones rank: user by user over tiles of the catalogue.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/exec/interrupt.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

/// Calls body(user, first, count) for every one of `users` and tiles that cover `items` items. On the CPU a
/// tile's activations stay in a core's cache, and users take turns at a tile, so that its own part of the
/// network does, too; on CUDA a tile is large enough to fill the device. Throws Interrupted between
/// two tiles.
template <class Body>
void for_rank_tiles(const Context& context, std::int64_t users, std::int64_t items, const Body& body) {
  const std::int64_t rows = context.device() == Device::cpu ? 256 : 1 << 14;
  for (std::int64_t first = 0; first < items; first += rows) {
    const std::int64_t count = std::min(rows, items - first);
    for (std::int64_t user = 0; user < users; ++user) {
      throw_if_interrupted();
      body(user, first, count);
    }
  }
}

/// The logits of one tile, [count x 1], in logits [users x items].
template <class Real>
Tensor<Real> tile_of(const Tensor<Real>& logits, std::int64_t user, std::int64_t first, std::int64_t count) {
  return logits.row_range(user, 1).columns(first, count).reshaped(count, 1);
}

}  // namespace sllmr
