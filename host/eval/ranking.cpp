#include "host/eval/ranking.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "host/eval/errors.h"
#include "host/eval/ranking_plan.h"
#include "host/eval/sharded_ranking.h"
#include "kernels/exec/interrupt.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/parallel.h"
#include "kernels/ranking.h"
#include "kernels/screened_ranking.h"

namespace sllmr {

namespace {

/// Of several ranks each fills in its share of the tiles.
struct RankedTiles : Ranked {
  std::int64_t tiles = 0, tile_users = 0;
};

/// The counts alone of a model of inner products, on the CPU.
RankedTiles screen_all(const Context& context, const Factors& factors, const RankingPlan& plan) {
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
  return {{std::move(counts), {}}, tiles, tile_users};
}

/// Counts and lists of all users of the plan from all their scores, tile by tile. On the CPU one
/// thread takes a tile, so that the scores are compared while they are in its cache.
RankedTiles score_all(const Context& context, const Scorer& scorer, const RankingPlan& plan, bool counts_too,
                      int list_length) {
  const bool count = counts_too && !plan.positives.empty();
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
  Buffer<RankCounts> counts(context, count ? plan.positives.size() : 0);
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
  return {{counts.to_host(context), lists.to_host(context)}, tiles, tile_users};
}

/// Does a rank count without the products? Else the counts come from all scores, as lists do.
bool screens(const Context& context, const std::optional<Factors>& factors, const RankingPlan& plan) {
  return !plan.positives.empty() && factors.has_value() && context.device() == Device::cpu &&
         ScreenedItems::supports(factors->items.cols);
}

Ranked rank_all(const Context& context, const Scorer& scorer, const RankingPlan& plan, int list_length) {
  if (!scorer.item_shard().is_whole()) return rank_shares(context, scorer, plan, list_length);
  const std::optional<Factors> factors = scorer.factors();
  Communicator& ranks = context.ranks();
  RankedTiles screened, scored;
  const bool screen = screens(context, factors, plan);
  on_all_ranks(ranks, [&] {
    if (screen) screened = screen_all(context, *factors, plan);
    if (!screen || list_length > 0) scored = score_all(context, scorer, plan, !screen, list_length);
  });
  RankedTiles& counted = screen ? screened : scored;
  gather_shares(ranks, counted.tiles, counted.tile_users, std::span(counted.counts));
  gather_shares(ranks, scored.tiles, scored.tile_users * list_length, std::span(scored.lists));
  return {std::move(counted.counts), std::move(scored.lists)};
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
