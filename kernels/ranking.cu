#include "kernels/ranking.h"

#include <cmath>

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

/// Sum over the lanes. They add floats, which count exactly up to 2^24 only: hence in two halves.
template <class Lanes>
SLLMR_HD std::int32_t sum_counts(Lanes lanes, std::int32_t count) {
  if constexpr (Lanes::size == 1) return count;
  const auto low = static_cast<std::int32_t>(lanes.sum(static_cast<float>(count & 0xFFFF)));
  const auto high = static_cast<std::int32_t>(lanes.sum(static_cast<float>(count >> 16)));
  return low + (high << 16);
}

struct CountRanks {
  RankingTile tile;
  RankCounts* out;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t user) const {
    const float* scores = tile.scores + user * tile.item_rows;
    const float positive = scores[tile.positives[user]];
    std::int32_t above = 0, ties = 0, below = 0;
    for (std::int32_t item = 1 + lanes.lane(); item < tile.item_rows; item += Lanes::size) {
      const float score = scores[item];
      above += score > positive ? 1 : 0;
      ties += score == positive ? 1 : 0;
      below += score < positive ? 1 : 0;
    }
    // A comparison with NaN is false, so whatever is missing here was NaN. The excluded are still in.
    const std::int32_t compared = sum_counts(lanes, above + ties + below);

    const std::int64_t end = tile.excluded_offsets[user + 1];
    for (std::int64_t k = tile.excluded_offsets[user] + lanes.lane(); k < end; k += Lanes::size) {
      const float score = scores[tile.excluded[k]];
      above -= score > positive ? 1 : 0;
      ties -= score == positive ? 1 : 0;
      below -= score < positive ? 1 : 0;
    }
    above = sum_counts(lanes, above);
    ties = sum_counts(lanes, ties) - 1;  // the positive itself
    below = sum_counts(lanes, below);
    if (lanes.lane() == 0) {
      const bool finite = compared == tile.item_rows - 1 && std::isfinite(positive);
      out[user] = {above, ties, below, finite ? 1 : 0};
    }
  }
};

}  // namespace

void count_ranks_on(OnThisDevice, const Context& context, const RankingTile& tile, RankCounts* out) {
  launch(context, "count_ranks", tile.users, CountRanks{tile, out});
}

}  // namespace sllmr
