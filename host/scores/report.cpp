#include "host/scores/report.h"

#include <fmt/format.h>

#include <cmath>

namespace sllmr {
namespace {

using nlohmann::json;

json number(double value) {
  return std::isfinite(value) ? json(value) : json();
}

json to_json(const Proportion& share) {
  return {{"value", number(share.value)},
          {"low", number(share.low)},
          {"high", number(share.high)},
          {"n", share.n}};
}

json to_json(const ReliabilityCell& cell) {
  json out = to_json(cell.llm);
  out["popularity"] = number(cell.popularity);
  return out;
}

}  // namespace

json report(const ScoreTable& table, const Split& split, const std::optional<TableOrigin>& origin,
            std::int64_t now) {
  json out;
  out["table"] = table.scorer;
  out["data"] = {{"name", split.data->name}, {"hash", fmt::format("{:016x}", split.data->hash)}};
  if (origin) {
    out["origin"] = {{"scorer", origin->scorer}, {"model", origin->model},     {"prompt", origin->prompt},
                     {"data", origin->data},     {"created", origin->created}, {"run", origin->run}};
  }

  const LeakageAudit leaks = audit_table(table, split);
  out["leakage"] = {{"probes", leaks.probes},
                    {"probes_not_in_training", leaks.probes_not_in_training},
                    {"candidates", leaks.candidates},
                    {"training_items_among_candidates", leaks.training_candidates},
                    {"held_out_items_among_candidates", leaks.held_out_candidates},
                    {"held_out_items_expected_by_chance", leaks.held_out_expected},
                    {"too_many_held_out", leaks.too_many()},
                    {"too_few_held_out", leaks.too_few()}};

  const Coverage c = coverage(table, split);
  out["coverage"] = {{"users", c.users},
                     {"scored_users", c.scored_users},
                     {"cold_users", c.cold_users},
                     {"scored_cold_users", c.scored_cold},
                     {"items", c.items},
                     {"scored_items", c.scored_items},
                     {"tail_items", c.tail_items},
                     {"scored_tail_items", c.scored_tail},
                     {"pairs", c.pairs},
                     {"at_default", c.at_default},
                     {"unknown_rows", table.unknown_rows},
                     {"candidates_per_user", {{"fewest", c.fewest}, {"median", c.median}, {"most", c.most}}},
                     {"ties", number(c.ties)},
                     {"judge_variance", nullptr}};
  if (!table.variances.empty()) {
    const ScoreStats stats = score_stats(table, split);
    out["coverage"]["judge_variance"] = {{"mean", stats.variance}, {"highest", stats.highest_variance}};
  }

  const ReliabilityMap map = reliability_map(table, split);
  json cells = json::array();
  for (const auto& row : map.cells) {
    cells.emplace_back(json::array());
    for (const ReliabilityCell& cell : row) cells.back().push_back(to_json(cell));
  }
  out["reliability"] = {{"history", map.history_labels},
                        {"popularity", map.popularity_labels},
                        {"cells", cells},
                        {"all", to_json(map.all)},
                        {"cold", to_json(map.cold)},
                        {"warm", to_json(map.warm)},
                        {"tail", to_json(map.tail)},
                        {"head", to_json(map.head)}};

  const Calibration calibrated = calibration(table);
  json bins = json::array();
  for (const CalibrationBin& bin : calibrated.bins) {
    bins.push_back({{"low", bin.low},
                    {"high", bin.high},
                    {"mean_score", number(bin.mean_score)},
                    {"probes", to_json(bin.probes)}});
  }
  out["calibration"] = {{"base_rate", number(calibrated.base_rate)},
                        {"rank_correlation", number(calibrated.rank_correlation)},
                        {"bins", bins}};

  const Freshness fresh = freshness(table, origin, split, now);
  out["freshness"] = {{"known", fresh.known},
                      {"same_data", fresh.same_data},
                      {"same_texts", fresh.same_texts},
                      {"age_days", number(fresh.age_days)},
                      {"scored_users", fresh.scored_users},
                      {"stale_users", fresh.stale_users},
                      {"warning", freshness_warning(fresh)}};
  return out;
}

}  // namespace sllmr
