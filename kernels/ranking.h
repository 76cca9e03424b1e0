// Full-catalogue ranking without a sort: counts against one positive item a user, and the best items.
#pragma once

#include <cstdint>

#include "kernels/exec/run.h"

namespace sllmr {

/// Where a user's positive stands among its negatives: all real items but the excluded ones and itself.
struct RankCounts {
  std::int32_t above = 0, ties = 0, below = 0;  // negatives scored higher, the same, lower
  std::int32_t finite = 1;  // 0: some score of a real item is NaN, or the positive's is infinite; the counts
                            // mean nothing then
};

/// A tile of scores and whom it is about. All on the device.
struct RankingTile {
  const float* scores;  // [users x item_rows], row-major; column 0 is padding and not looked at
  std::int64_t users;
  std::int32_t item_rows;
  const Id* positives;                   // [users] real items; 0: not among these
  const std::int64_t* excluded_offsets;  // [users + 1] into `excluded`
  const Id* excluded;  // real items, each at most once a user, ascending, never the user's positive
  const float* positive_scores = nullptr;  // [users]; null: those of the tile
};

/// Each user's counts. One pass over the scores: every real item is compared with the positive, then the
/// excluded ones are taken off by their scores.
struct CountRanks {
  RankingTile tile;
  RankCounts* out;  // [users]
};

/// Of each user the `k` real items of highest score that are not excluded, best first, and
/// of items with the same score the one with the lower id first; 0 where there are no more. The positive is
/// an item like any other. Means nothing for a user of whom a score is NaN. Made for a small `k`: what is
/// found is kept sorted by insertion.
struct TopItems {
  RankingTile tile;
  int k;
  Id* out;  // [users x k]
};

}  // namespace sllmr
