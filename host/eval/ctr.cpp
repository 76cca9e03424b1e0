#include "host/eval/ctr.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/eval/errors.h"
#include "host/eval/metrics.h"
#include "kernels/exec/memory.h"

namespace sllmr {

std::vector<CtrRow> ctr_rows(const Split& split, Target target, std::uint64_t seed) {
  return target == Target::test ? ctr_test_rows(split, seed) : ctr_validation_rows(split, seed);
}

CtrResult evaluate_ctr(const Split& split, std::span<const CtrRow> rows, std::span<const float> logits) {
  require(rows.size() == logits.size(), "evaluate_ctr: as many logits as rows are needed");
  require(!rows.empty(), "nothing to evaluate: no row (users need at least 3 interactions)");
  require_finite(std::none_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); }));
  std::vector<float> labels(rows.size());
  for (std::size_t k = 0; k < rows.size(); ++k) labels[k] = rows[k].label;
  const std::vector<std::int32_t> order = ascending_order(logits);

  constexpr std::array kAvailable = {Needs::labels};
  const std::vector<MetricAt> metrics = metrics_of(kAvailable, {});
  CtrResult result;
  for (const MetricAt& each : metrics) result.figures.figures.push_back({each.name, {}});
  for (std::size_t slice = 0; slice < kEverySlice.size(); ++slice) {
    // Leaving rows out of a sorted list leaves it sorted: one sort serves all slices.
    std::vector<std::int32_t> members;
    for (const std::int32_t k : order) {
      const CtrRow& row = rows[static_cast<std::size_t>(k)];
      if (!is_in(kEverySlice[slice], split, row.user, row.item)) continue;
      members.push_back(k);
      result.positives[slice] += row.label > 0.5F ? 1 : 0;
    }
    result.figures.n[slice] = std::ssize(members);
    for (std::size_t m = 0; m < metrics.size(); ++m) {
      const auto value = std::get<Metric::OfLabelled>(metrics[m].metric->value);
      result.figures.figures[m].values[slice] = value({rows, logits, labels, members});
    }
  }
  return result;
}

std::vector<float> score_rows(const Context& context, const Scorer& scorer, std::span<const CtrRow> rows) {
  std::vector<Id> users(rows.size()), items(rows.size());
  for (std::size_t k = 0; k < rows.size(); ++k) {
    users[k] = rows[k].user;
    items[k] = rows[k].item;
  }
  const Buffer<Id> device_users(context, std::span<const Id>(users)),
      device_items(context, std::span<const Id>(items));
  Buffer<float> logits(context, rows.size());
  scorer.score_pairs(context, device_users.data(), device_items.data(),
                     static_cast<std::int64_t>(rows.size()), logits.data());
  return logits.to_host(context);
}

nlohmann::json to_json(const CtrResult& result) {
  nlohmann::json json{{"protocol", "ctr"}};
  for (std::size_t slice = 0; slice < kEverySlice.size(); ++slice) {
    json["positives"][kSliceNames[slice]] = result.positives[slice];
  }
  add_figures(json, result.figures);
  return json;
}

}  // namespace sllmr
