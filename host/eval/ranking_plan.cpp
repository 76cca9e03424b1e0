#include "host/eval/ranking_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "kernels/exec/error.h"

namespace sllmr {

void make_distinct(std::vector<Id>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

RankingPlan plan_ranking(const Split& split, Target target, int max_users) {
  RankingPlan plan;
  const std::vector<Id>& targets = target == Target::test ? split.test : split.validation;
  const auto candidates = static_cast<std::int64_t>(targets.size()) - std::ranges::count(targets, 0);
  const std::int64_t wanted = max_users > 0 ? std::min<std::int64_t>(max_users, candidates) : candidates;
  std::int64_t seen_candidates = 0;
  const std::int64_t items = split.data->items.count();
  std::vector<Id> seen;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto row = static_cast<std::size_t>(user);
    const Id positive = targets[row];
    if (positive == 0) continue;
    const std::int64_t candidate = seen_candidates++;
    if ((candidate + 1) * wanted / candidates == candidate * wanted / candidates) continue;
    const std::span<const Id> train = split.train_items(user);
    seen.assign(train.begin(), train.end());
    if (target == Target::test && split.validation[row] != 0) seen.push_back(split.validation[row]);
    // A history may name an item twice, the target among them: it then stays the positive.
    make_distinct(seen);
    std::erase(seen, positive);
    if (static_cast<std::int64_t>(seen.size()) + 1 == items) {
      ++plan.without_negatives;
      continue;
    }
    plan.users.push_back(user);
    plan.positives.push_back(positive);
    plan.excluded.insert(plan.excluded.end(), seen.begin(), seen.end());
    plan.excluded_offsets.push_back(static_cast<std::int64_t>(plan.excluded.size()));
  }
  require(!plan.users.empty(), fmt::format("nothing to rank: no user has a {} item and an item to rank it "
                                           "against (users need at least 3 interactions)",
                                           target == Target::test ? "test" : "validation"));
  return plan;
}

std::int64_t tile_of(const Context& context, std::int64_t users, std::int64_t most) {
  const std::int64_t share = (users + 4 * context.threads() - 1) / (4 * context.threads());
  return std::clamp<std::int64_t>(std::min(most, share), 1, users);
}

}  // namespace sllmr
