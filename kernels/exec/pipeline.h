// Work whose steps read memory at places that the step before finds out.
#pragma once

#include <cstdint>

#include "kernels/exec/types.h"

namespace sllmr {

/// Takes the items first .. first + count - 1 through three steps, of which each asks for the memory that the
/// next one reads: begin(first item, items, block), then(block), finish(block). A Block<Most> holds what is
/// known of up to Most items in between. On the CPU three blocks of Most are on their way at once, each a
/// step behind the next; on CUDA, where other warps hide the latency, the items come one by one.
template <template <int> class Block, int Most, class Lanes, class Begin, class Then, class Finish>
SLLMR_HD void in_three_steps(Lanes, std::int64_t first, std::int64_t count, const Begin& begin,
                             const Then& then, const Finish& finish) {
  if constexpr (!Lanes::prefetches) {
    for (std::int64_t k = 0; k < count; ++k) {
      Block<1> block;
      begin(first + k, std::int64_t{1}, block);
      then(block);
      finish(block);
    }
  } else {
    Block<Most> blocks[3];
    const std::int64_t n = (count + Most - 1) / Most;
    for (std::int64_t k = 0; k < n + 2; ++k) {
      if (k < n) {
        const std::int64_t done = k * Most, left = count - done;
        begin(first + done, left < Most ? left : Most, blocks[k % 3]);
      }
      if (k >= 1 && k <= n) then(blocks[(k - 1) % 3]);
      if (k >= 2) finish(blocks[(k - 2) % 3]);
    }
  }
}

}  // namespace sllmr
