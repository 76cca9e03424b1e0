#include "host/scores/pair_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>
#include <span>
#include <tuple>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// Of the pairs (first, lowest[rank]), rank = 0, 1, ..., the next one not yet taken.
struct Frontier {
  float difference;
  std::size_t first, rank;
};

bool after(const Frontier& a, const Frontier& b) {
  return std::tuple(-a.difference, a.first, a.rank) > std::tuple(-b.difference, b.first, b.rank);
}

/// Appends the largest pairs of one user. `scores` fall; so do the differences along each row, and from row
/// to row: a heap with the head of each open row holds the next pair, and a row opens when the head of the
/// one above is taken.
void append_pairs(std::span<const float> scores, std::size_t wanted, PairIndex& pairs) {
  if (scores.empty()) return;
  std::vector<std::size_t> lowest(scores.size());  // entries by rising score, ties by index
  std::iota(lowest.begin(), lowest.end(), std::size_t{0});
  std::stable_sort(lowest.begin(), lowest.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });

  std::priority_queue<Frontier, std::vector<Frontier>, decltype(&after)> heap(after);
  const auto open = [&](std::size_t first, std::size_t rank) {
    const float difference = scores[first] - scores[lowest[rank]];
    if (difference > 0) heap.push({difference, first, rank});
  };
  open(0, 0);
  for (; wanted > 0 && !heap.empty(); --wanted) {
    const Frontier top = heap.top();
    heap.pop();
    pairs.first.push_back(static_cast<std::uint16_t>(top.first));
    pairs.second.push_back(static_cast<std::uint16_t>(lowest[top.rank]));
    // The entry of rank 0 has the lowest score, so both neighbours exist whenever a pair does.
    open(top.first, top.rank + 1);
    if (top.rank == 0) open(top.first + 1, 0);
  }
}

}  // namespace

namespace {
void require_indexable(Id user, std::size_t entries) {
  if (entries > std::numeric_limits<std::uint16_t>::max()) {
    throw Error(
        fmt::format("user {} has {} scored items, more than the 65535 that a pair index holds; score fewer",
                    user, entries));
  }
}
}  // namespace

PairIndex largest_pairs(const ScoreTable& table, int per_user) {
  if (per_user < 1) throw Error(fmt::format("{} pairs a user is no pair; ask for 1 or more", per_user));
  PairIndex pairs;
  pairs.offsets = {0, 0};  // user 0 is padding
  for (Id user = 1; user < static_cast<Id>(table.probe.size()); ++user) {
    const auto scores = table.scores_of(user);
    require_indexable(user, scores.size());
    append_pairs(scores, static_cast<std::size_t>(per_user), pairs);
    pairs.offsets.push_back(static_cast<std::int64_t>(pairs.first.size()));
  }
  return pairs;
}

MatchIndex probe_matches(const ScoreTable& table, std::span<const std::int32_t> popularity,
                         std::span<const std::uint8_t> tail) {
  constexpr double kNear = 0.7;
  MatchIndex matches;
  matches.offsets = {0, 0, 0};  // user 0 is padding
  for (Id user = 1; user < static_cast<Id>(table.probe.size()); ++user) {
    const std::span<const Id> items = table.items_of(user);
    require_indexable(user, items.size());
    const std::int32_t at = table.probe[static_cast<std::size_t>(user)];
    const auto probe =
        at < 0 ? std::size_t{0} : static_cast<std::size_t>(items[static_cast<std::size_t>(at)]);
    for (const int sign : {-1, 1}) {
      for (std::size_t k = 0; at >= 0 && k < items.size(); ++k) {
        const auto item = static_cast<std::size_t>(items[k]);
        const double more = std::log1p(popularity[item]) - std::log1p(popularity[probe]);
        if (item != probe && tail[item] == tail[probe] && std::fabs(more) <= kNear && sign * more >= 0) {
          matches.entries.push_back(static_cast<std::uint16_t>(k));
        }
      }
      matches.offsets.push_back(std::ssize(matches.entries));
    }
  }
  return matches;
}

}  // namespace sllmr
