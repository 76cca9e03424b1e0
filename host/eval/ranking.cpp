#include "host/eval/ranking.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "host/eval/errors.h"
#include "kernels/exec/interrupt.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/parallel.h"
#include "kernels/ranking.h"
#include "kernels/screened_ranking.h"

namespace sllmr {

namespace {

/// Who is ranked against what, on the host: users that have a target and at least one negative.
struct RankingPlan {
  std::vector<Id> users, positives;  // without positives there are lists alone
  std::vector<std::int64_t> excluded_offsets{0};
  std::vector<Id> excluded;
  std::int64_t without_negatives = 0;
};

/// Each item once, ascending.
void make_distinct(std::vector<Id>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

/// Throws Error when there is nothing to rank.
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

/// Of several ranks each fills in its share of the tiles.
struct Ranked {
  std::vector<RankCounts> counts;  // [users]
  std::vector<Id> lists;           // [users x list_length]
  std::int64_t tiles = 0, tile_users = 0;
};

/// The users that a thread takes at once, so that there is something for every one, also of a sample.
std::int64_t tile_of(const Context& context, std::int64_t users, std::int64_t most) {
  const std::int64_t share = (users + 4 * context.threads() - 1) / (4 * context.threads());
  return std::clamp<std::int64_t>(std::min(most, share), 1, users);
}

/// The counts alone of a model of inner products, on the CPU.
Ranked screen_all(const Context& context, const Factors& factors, const RankingPlan& plan) {
  constexpr std::int64_t kMostUsers = 256;
  const auto users = static_cast<std::int64_t>(plan.users.size());
  const std::int64_t tile_users = tile_of(context, users, kMostUsers);
  const ScreenedItems items(context, factors.items);
  std::vector<RankCounts> counts(plan.users.size());
  const std::int64_t tiles = (users + tile_users - 1) / tile_users;
  const RankShare own = share_of(context.ranks(), context.ranks().rank(), tiles);
  SharedItems shared(own.end - own.first);
  on_threads(context.threads(), [&](int) {
    shared.take([&](std::int64_t k) {
      const std::int64_t first = (own.first + k) * tile_users;
      items.count(factors.users,
                  {.users = plan.users.data() + first,
                   .n = std::min(tile_users, users - first),
                   .positives = plan.positives.data() + first,
                   .excluded_offsets = plan.excluded_offsets.data() + first,
                   .excluded = plan.excluded.data()},
                  counts.data() + first);
    });
  });
  return {std::move(counts), {}, tiles, tile_users};
}

/// Counts and lists of all users of the plan from all their scores, tile by tile. On the CPU one
/// thread takes a tile, so that the scores are compared while they are in its cache.
Ranked score_all(const Context& context, const Scorer& scorer, const RankingPlan& plan, int list_length) {
  const bool count = !plan.positives.empty();
  const bool cpu = context.device() == Device::cpu;
  const auto users = static_cast<std::int64_t>(plan.users.size());
  const std::int64_t tile_floats = cpu ? std::int64_t{1} << 20 : std::int64_t{1} << 26;
  const std::int64_t most_users = tile_floats / scorer.item_rows();
  const std::int64_t tile_users =
      cpu ? tile_of(context, users, most_users) : std::clamp<std::int64_t>(most_users, 1, users);
  const std::int64_t tiles = (users + tile_users - 1) / tile_users;
  const RankShare share = share_of(context.ranks(), context.ranks().rank(), tiles);
  const auto workers =
      static_cast<int>(cpu ? std::clamp<std::int64_t>(share.end - share.first, 1, context.threads()) : 1);

  const Buffer<Id> user_ids(context, std::span(plan.users)), positives(context, std::span(plan.positives));
  const Buffer<std::int64_t> offsets(context, std::span(plan.excluded_offsets));
  const Buffer<Id> excluded(context, std::span(plan.excluded));
  Buffer<RankCounts> counts(context, plan.positives.size());
  Buffer<Id> lists(context, size_product(users, list_length));
  struct Memory {
    Buffer<float> scratch, scores;
  };
  std::vector<Memory> memory;
  for (int worker = 0; worker < workers; ++worker) {
    memory.push_back({Buffer<float>(context, size_product(scorer.scratch_floats(tile_users))),
                      Buffer<float>(context, size_product(tile_users, scorer.item_rows()))});
  }

  const auto rank_tile = [&](const Context& own, Memory& mine, std::int64_t tile) {
    throw_if_interrupted();
    const std::int64_t first = tile * tile_users, n = std::min(tile_users, users - first);
    scorer.score_tile(own, user_ids.data() + first, n, mine.scratch.data(), mine.scores.data());
    const RankingTile scored{.scores = mine.scores.data(),
                             .users = n,
                             .item_rows = scorer.item_rows(),
                             .positives = count ? positives.data() + first : nullptr,
                             .excluded_offsets = offsets.data() + first,
                             .excluded = excluded.data()};
    if (count) run(own, CountRanks{.tile = scored, .out = counts.data() + first});
    if (list_length > 0) {
      run(own, TopItems{.tile = scored, .k = list_length, .out = lists.data() + first * list_length});
    }
  };
  if (workers == 1) {
    for (std::int64_t tile = share.first; tile < share.end; ++tile) rank_tile(context, memory[0], tile);
  } else {
    SharedItems shared(share.end - share.first);
    on_threads(workers, [&](int worker) {
      const Context own(Device::cpu, 1);
      Memory& mine = memory[static_cast<std::size_t>(worker)];
      shared.take([&](std::int64_t k) { rank_tile(own, mine, share.first + k); });
    });
  }
  return {counts.to_host(context), lists.to_host(context), tiles, tile_users};
}

Ranked rank_own(const Context& context, const Scorer& scorer, const RankingPlan& plan, int list_length) {
  const std::optional<Factors> factors = scorer.factors();
  const bool counts_alone = !plan.positives.empty() && list_length == 0;
  if (counts_alone && factors.has_value() && context.device() == Device::cpu &&
      ScreenedItems::supports(factors->items.cols)) {
    return screen_all(context, *factors, plan);
  }
  return score_all(context, scorer, plan, list_length);
}

Ranked rank_all(const Context& context, const Scorer& scorer, const RankingPlan& plan, int list_length) {
  Communicator& ranks = context.ranks();
  Ranked ranked;
  on_all_ranks(ranks, [&] { ranked = rank_own(context, scorer, plan, list_length); });
  gather_shares(ranks, ranked.tiles, ranked.tile_users, std::span(ranked.counts));
  gather_shares(ranks, ranked.tiles, ranked.tile_users * list_length, std::span(ranked.lists));
  return ranked;
}

/// A row's list, without the places that the catalogue could not fill.
std::span<const Id> list_of(const RankingResult& result, std::size_t row) {
  const auto length = static_cast<std::size_t>(result.list_length);
  const std::span<const Id> list = std::span(result.lists).subspan(row * length, length);
  return list.first(static_cast<std::size_t>(std::ranges::find(list, 0) - list.begin()));
}

Figures figures_of(const RankingResult& result, const Split& split, std::span<const int> top_k) {
  std::vector<Needs> available{Needs::ranks};
  if (result.list_length > 0) available.push_back(Needs::lists);
  const std::vector<MetricAt> metrics = metrics_of(available, top_k);
  Figures figures;
  for (const MetricAt& each : metrics) figures.figures.push_back({each.name, {}});
  for (std::size_t k = 0; k < kEverySlice.size(); ++k) {
    RankedSlice slice{split, {}, {}};
    for (std::size_t row = 0; row < result.rows.size(); ++row) {
      if (!is_in(kEverySlice[k], split, result.rows[row].user, result.rows[row].item)) continue;
      slice.rows.push_back(result.rows[row]);
      if (result.list_length > 0) slice.lists.push_back(list_of(result, row));
    }
    figures.n[k] = std::ssize(slice.rows);
    for (std::size_t m = 0; m < metrics.size(); ++m) {
      const auto value = std::get<Metric::OfRanked>(metrics[m].metric->value);
      figures.figures[m].values[k] = value(slice, metrics[m].k);
    }
  }
  return figures;
}

}  // namespace

void check_rankable(const Split& split, Target target, int max_users) {
  plan_ranking(split, target, max_users);
}

RankingResult evaluate_full(const Context& context, const Scorer& scorer, const Split& split, Target target,
                            std::span<const int> top_k, int max_users, bool lists) {
  require(scorer.item_rows() == split.data->items.rows(),
          fmt::format("the model has {} item rows, the data have {}: it was trained on other data",
                      scorer.item_rows(), split.data->items.rows()));
  for (const int k : top_k) {
    require(k >= 1, fmt::format("eval.topk: {} is below 1", k));
  }
  const RankingPlan plan = plan_ranking(split, target, max_users);
  RankingResult result;
  if (lists && !top_k.empty()) {
    result.list_length = std::min(std::ranges::max(top_k), static_cast<int>(split.data->items.count()));
  }
  Ranked ranked = rank_all(context, scorer, plan, result.list_length);
  result.lists = std::move(ranked.lists);
  result.without_negatives = plan.without_negatives;
  result.rows.reserve(ranked.counts.size());
  for (std::size_t k = 0; k < ranked.counts.size(); ++k) {
    const RankCounts& count = ranked.counts[k];
    require_finite(count.finite != 0);
    result.rows.push_back(
        {plan.users[k], plan.positives[k], count.above, count.ties, count.above + count.ties + count.below});
  }
  result.figures = figures_of(result, split, top_k);
  return result;
}

std::vector<Id> best_items(const Context& context, const Scorer& scorer, const Split& split,
                           std::span<const Id> users, int k) {
  if (users.empty()) return {};
  RankingPlan plan;
  std::vector<Id> seen;
  for (const Id user : users) {
    const std::span<const Id> train = split.train_items(user);
    seen.assign(train.begin(), train.end());
    make_distinct(seen);
    plan.users.push_back(user);
    plan.excluded.insert(plan.excluded.end(), seen.begin(), seen.end());
    plan.excluded_offsets.push_back(std::ssize(plan.excluded));
  }
  return rank_all(context, scorer, plan, k).lists;
}

nlohmann::json to_json(const RankingResult& result) {
  nlohmann::json json{{"protocol", "full"}, {"without_negatives", result.without_negatives}};
  add_figures(json, result.figures);
  return json;
}

}  // namespace sllmr
