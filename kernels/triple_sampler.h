// Shuffling and negative sampling on the device.
#pragma once

#include <cstdint>

#include "kernels/exec/run.h"

namespace sllmr {

/// One BPR training row: `user` prefers `positive` to `negative`.
struct Triple {
  Id user, positive, negative;
};

/// Training interactions on the device.
struct InteractionView {
  const Id* users = nullptr;              // [n]
  const Id* items = nullptr;              // [n]
  const std::int64_t* offsets = nullptr;  // [user rows + 1] into sorted_items
  const Id* sorted_items = nullptr;       // training items of each user, ascending, each once
  std::int64_t n = 0;
  std::int32_t n_items = 0;  // real items; ids 1 .. n_items
};

/// Rows first_row .. first_row + count - 1 of the epoch: the interactions in a shuffled order, each with a
/// negative, uniform over the items outside the user's training items. No user may have them all.
struct SampleTriples {
  InteractionView interactions;
  std::uint64_t seed;
  std::uint32_t epoch;
  std::int64_t first_row, count;
  Triple* out;  // [count]
};

}  // namespace sllmr
