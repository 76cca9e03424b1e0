#include "kernels/ranking.h"

#include <cmath>

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

struct UserCounts {
  CountRanks args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t user) const {
    const RankingTile& tile = args.tile;
    const float* scores = tile.scores + user * tile.item_rows;
    const Id own = tile.positives[user];
    const float positive = tile.positive_scores != nullptr ? tile.positive_scores[user] : scores[own];
    std::int32_t above = 0, ties = 0, below = 0;
    for (std::int32_t item = 1 + lanes.lane(); item < tile.item_rows; item += Lanes::size) {
      const float score = scores[item];
      above += score > positive ? 1 : 0;
      ties += score == positive ? 1 : 0;
      below += score < positive ? 1 : 0;
    }
    // A comparison with NaN is false, so whatever is missing here was NaN. The excluded are still in.
    const std::int32_t compared = lanes.sum(above + ties + below);

    const std::int64_t end = tile.excluded_offsets[user + 1];
    for (std::int64_t k = tile.excluded_offsets[user] + lanes.lane(); k < end; k += Lanes::size) {
      const float score = scores[tile.excluded[k]];
      above -= score > positive ? 1 : 0;
      ties -= score == positive ? 1 : 0;
      below -= score < positive ? 1 : 0;
    }
    above = lanes.sum(above);
    ties = lanes.sum(ties) - (own != 0 ? 1 : 0);  // the positive itself
    below = lanes.sum(below);
    if (lanes.lane() == 0) {
      const bool finite = compared == tile.item_rows - 1 && std::isfinite(positive);
      args.out[user] = {above, ties, below, finite ? 1 : 0};
    }
  }
};

/// Items are looked at in the order of their ids, so that of equal scores the lower id is there first and
/// stays first.
struct UserTopItems {
  TopItems args;

  /// What was found for a user so far.
  struct List {
    Id* items;
    int found = 0;
    float worst = 0;  // score of the last of `k` items

    SLLMR_HD bool takes(float score, int k) const { return found < k || score > worst; }
  };

  SLLMR_HD bool is_excluded(std::int64_t user, Id item) const {
    const RankingTile& tile = args.tile;
    std::int64_t low = tile.excluded_offsets[user], high = tile.excluded_offsets[user + 1];
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (tile.excluded[middle] < item) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < tile.excluded_offsets[user + 1] && tile.excluded[low] == item;
  }

  /// Puts an item in its slot, if it has one.
  SLLMR_HD void insert(List& list, const float* scores, std::int64_t user, Id item) const {
    const int k = args.k;
    const float score = scores[item];
    if (!list.takes(score, k) || is_excluded(user, item)) return;
    int slot = list.found < k ? list.found++ : k - 1;
    for (; slot > 0 && scores[list.items[slot - 1]] < score; --slot) {
      list.items[slot] = list.items[slot - 1];
    }
    list.items[slot] = item;
    if (list.found == k) list.worst = scores[list.items[k - 1]];
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t user) const {
    const RankingTile& tile = args.tile;
    const int k = args.k;
    const float* scores = tile.scores + user * tile.item_rows;
    List list{args.out + user * k};
    // Few items get past the comparison: on the CPU a block of them is compared at once.
    constexpr Id kBlock = Lanes::size == 1 ? 64 : Lanes::size;
    for (Id begin = 1; begin < tile.item_rows; begin += kBlock) {
      const Id end = begin + kBlock < tile.item_rows ? begin + kBlock : tile.item_rows;
      if constexpr (Lanes::size == 1) {
        int better = 0;
        for (Id item = begin; item < end; ++item) better += scores[item] > list.worst ? 1 : 0;
        if (list.found == k && better == 0) continue;
        for (Id item = begin; item < end; ++item) insert(list, scores, user, item);
      } else {
        const Id own = begin + lanes.lane();
        unsigned left = lanes.ballot(own < end && list.takes(scores[own], k));
        for (; left != 0; left &= left - 1) {
          if (lanes.lane() == 0) insert(list, scores, user, begin + Lanes::first_lane(left));
          list.found = lanes.broadcast(list.found, 0);
          list.worst = lanes.broadcast(list.worst, 0);
        }
      }
    }
    for (int slot = list.found + lanes.lane(); slot < k; slot += Lanes::size) list.items[slot] = 0;
  }
};

void run_here(const Context& context, const CountRanks& args) {
  launch(context, "count_ranks", args.tile.users, UserCounts{args});
}

void run_here(const Context& context, const TopItems& args) {
  launch(context, "top_items", args.tile.users, UserTopItems{args});
}

}  // namespace

SLLMR_KERNEL(CountRanks)
SLLMR_KERNEL(TopItems)

}  // namespace sllmr
