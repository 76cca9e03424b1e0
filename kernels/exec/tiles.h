// Work that goes through several kernels and products tile by tile, so that what lies between them stays in a
// core's cache.
#pragma once

#include <cstdint>

#include "kernels/exec/context.h"
#include "kernels/exec/parallel.h"

namespace sllmr {

/// How many bodies of for_tiles run at the same time, each with a worker number below this.
inline int tile_workers(const Context& context) {
  return context.device() == Device::cpu ? context.threads() : 1;
}

/// Calls body(tile, worker) for every tile < tiles. On the CPU the threads share the tiles, and what a body
/// launches or multiplies runs on its thread alone; on CUDA the tiles follow one another on the stream. On
/// the CPU a body must not take memory from the context's pool. Throws what a body throws.
template <class Body>
void for_tiles(const Context& context, std::int64_t tiles, const Body& body) {
  if (context.device() != Device::cpu || tiles == 1) {
    for (std::int64_t tile = 0; tile < tiles; ++tile) body(tile, 0);
    return;
  }
  on_shares(context.threads(), tiles, [&body](int thread, std::int64_t first, std::int64_t last) {
    for (std::int64_t tile = first; tile < last; ++tile) body(tile, thread);
  });
}

}  // namespace sllmr
