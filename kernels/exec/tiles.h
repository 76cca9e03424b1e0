// Work that goes through several kernels and products tile by tile, so that what lies between them stays in a
// core's cache.
#pragma once

#include <cstdint>

#include <omp.h>

#include "kernels/exec/context.h"

namespace sllmr {

/// How many bodies of for_tiles run at the same time, each with a worker number below this.
inline int tile_workers(const Context& context) {
  return context.device() == Device::cpu ? context.threads() : 1;
}

/// Calls body(tile, worker) for every tile < tiles. On the CPU the threads share the tiles, and what a body
/// launches or multiplies runs on its thread alone; on CUDA the tiles follow one another on the stream. On
/// the CPU a body must not throw and must not take memory from the context's pool.
template <class Body>
void for_tiles(const Context& context, std::int64_t tiles, const Body& body) {
  if (context.device() != Device::cpu || tiles == 1) {
    for (std::int64_t tile = 0; tile < tiles; ++tile) body(tile, 0);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(context.threads())
  for (std::int64_t tile = 0; tile < tiles; ++tile) body(tile, omp_get_thread_num());
}

}  // namespace sllmr
