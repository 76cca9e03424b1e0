#include "host/eval/ctr.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
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

  // Leaving rows out of a sorted list leaves it sorted: one sort serves all slices.
  const auto slice_of = [&](auto is_member) {
    std::vector<std::int32_t> members;
    CtrSlice slice;
    for (const std::int32_t k : order) {
      const CtrRow& row = rows[static_cast<std::size_t>(k)];
      if (!is_member(row)) continue;
      members.push_back(k);
      ++(row.label > 0.5F ? slice.positives : slice.negatives);
    }
    slice.auc = roc_auc(members, logits, labels);
    slice.log_loss = log_loss(members, logits, labels);
    return slice;
  };
  return {slice_of([](const CtrRow&) { return true; }),
          slice_of([&](const CtrRow& row) { return split.cold[static_cast<std::size_t>(row.user)] != 0; }),
          slice_of([&](const CtrRow& row) { return split.tail[static_cast<std::size_t>(row.item)] != 0; })};
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
  const std::pair<const char*, const CtrSlice*> slices[] = {
      {"all", &result.all}, {"cold", &result.cold}, {"tail", &result.tail}};
  const auto figure = [](const std::optional<double>& x) {
    return x ? nlohmann::json(*x) : nlohmann::json();
  };
  for (const auto& [name, slice] : slices) {
    json["n"][name] = slice->positives + slice->negatives;
    json["positives"][name] = slice->positives;
    json["auc"][name] = figure(slice->auc);
    json["log_loss"][name] = figure(slice->log_loss);
  }
  return json;
}

}  // namespace sllmr
