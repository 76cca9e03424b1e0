// Shuffling and negative sampling on the device.
#pragma once

#include <cstdint>

#include "kernels/exec/run.h"
#include "kernels/interaction_index.h"

namespace sllmr {

/// One BPR training row: `user` prefers `positive` to `negative`.
struct Triple {
  Id user, positive, negative;
};

/// Rows first_row .. first_row + count - 1 of the epoch: the interactions in a shuffled order
/// (BlockPermutation of `block_rows`; they lie by user), each with a negative, drawn as
/// interactions.negatives does among the items outside the user's training items. No user may have them all.
struct SampleTriples {
  InteractionView interactions;
  std::uint64_t seed;
  std::uint32_t epoch;
  std::int64_t first_row, count;
  std::int64_t block_rows = 0;
  Triple* out;  // [count]
};

}  // namespace sllmr
