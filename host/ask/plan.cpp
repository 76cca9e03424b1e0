#include "host/ask/plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "kernels/exec/random.h"

namespace sllmr {
namespace {

/// Normalised entropy of the candidates' training popularities (each plus one): 1 where all are as popular.
double popularity_entropy(const Split& split, const std::vector<Id>& candidates) {
  double sum = 0, weighted = 0;
  for (const Id item : candidates) {
    const double mass = split.popularity[item] + 1.0;
    sum += mass;
    weighted += mass * std::log(mass);
  }
  return (std::log(sum) - weighted / sum) / std::log(static_cast<double>(candidates.size()));
}

/// Lower comes first.
double rank_of(const Split& split, const CandidateSet& set, Priority priority) {
  switch (priority) {
    case Priority::cold:
      return static_cast<double>(split.train_items(set.user).size());
    case Priority::tail: {
      const auto train = split.train_items(set.user);
      const auto tail =
          std::count_if(train.begin(), train.end(), [&](Id item) { return split.tail[item] != 0; });
      return -static_cast<double>(tail) / static_cast<double>(train.size());
    }
    case Priority::uncertain:
      return -popularity_entropy(split, set.candidates);
    case Priority::sampled:
      break;
  }
  return 0;
}

}  // namespace

std::vector<CandidateSet> choose_sets(const Split& split, std::vector<CandidateSet> sets, Priority priority,
                                      const Budget& budget, std::uint64_t seed,
                                      const std::function<SetCost(const CandidateSet&)>& cost) {
  std::erase_if(sets,
                [](const CandidateSet& set) { return set.history.empty() || set.candidates.size() < 2; });
  std::vector<std::tuple<double, std::uint32_t, std::size_t>> order;
  for (std::size_t k = 0; k < sets.size(); ++k) {
    const Draw draw =
        philox(seed, 0, static_cast<std::uint64_t>(sets[k].user), Purpose::candidates, 0x00FFFFFFU);
    order.emplace_back(rank_of(split, sets[k], priority), draw.word[0], k);
  }
  std::sort(order.begin(), order.end());

  std::vector<std::uint8_t> kept(sets.size(), 0);
  SetCost sum;
  std::int64_t users = 0;
  const auto over = [](double amount, double limit) { return limit > 0 && amount > limit; };
  for (const auto& [rank, random, k] : order) {
    const SetCost own = cost(sets[k]);
    sum.prompts += own.prompts;
    sum.tokens += own.tokens;
    sum.money += own.money;
    ++users;
    if (over(static_cast<double>(users), static_cast<double>(budget.users)) ||
        over(static_cast<double>(sum.prompts), static_cast<double>(budget.prompts)) ||
        over(sum.tokens, budget.tokens) || over(sum.money, budget.money)) {
      break;
    }
    kept[k] = 1;
  }
  std::vector<CandidateSet> chosen;
  for (std::size_t k = 0; k < sets.size(); ++k) {
    if (kept[k]) chosen.push_back(std::move(sets[k]));
  }
  return chosen;
}

PlanAudit audit_plan(const Split& split, const std::vector<CandidateSet>& sets) {
  PlanAudit audit;
  for (const CandidateSet& set : sets) {
    const auto all = split.data->user_history(set.user);
    const auto train = split.train_items(set.user);
    const auto held_out = all.subspan(train.size());
    const auto in = [](std::span<const Id> items, Id item) {
      return std::find(items.begin(), items.end(), item) != items.end();
    };
    ++audit.sets;
    for (const Id item : set.history) {
      ++audit.history_items;
      audit.probe_in_history += item == set.probe;
      // An item bought again later was in training too: it is known.
      if (!in(train, item)) ++(in(held_out, item) ? audit.held_out_in_history : audit.foreign_in_history);
    }
    for (const Id item : set.candidates) {
      ++audit.candidates;
      if (item == set.probe) continue;
      if (in(train, item)) {
        ++audit.train_in_candidates;
      } else {
        audit.held_out_in_candidates += in(held_out, item);
      }
    }
  }
  return audit;
}

}  // namespace sllmr
