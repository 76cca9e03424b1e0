// Who is ranked against what, for all ways of ranking.
#pragma once

#include <cstdint>
#include <vector>

#include "host/data/split.h"
#include "host/eval/ranking.h"
#include "kernels/exec/context.h"
#include "kernels/ranking.h"

namespace sllmr {

/// On the host: users that have a target and at least one negative.
struct RankingPlan {
  std::vector<Id> users, positives;  // without positives there are lists alone
  std::vector<std::int64_t> excluded_offsets{0};
  std::vector<Id> excluded;
  std::int64_t without_negatives = 0;
};

/// Each item once, ascending.
void make_distinct(std::vector<Id>& items);

/// Throws Error when there is nothing to rank.
RankingPlan plan_ranking(const Split& split, Target target, int max_users);

/// What became of a plan's users.
struct Ranked {
  std::vector<RankCounts> counts;  // [users]
  std::vector<Id> lists;           // [users x list_length]
};

/// The users that a thread takes at once, so that there is something for every one, also of a sample.
std::int64_t tile_of(const Context& context, std::int64_t users, std::int64_t most);

}  // namespace sllmr
