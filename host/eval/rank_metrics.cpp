// Metrics of where the held-out item stands. What is scored the same as the item counts as if broken at
// random: each metric is the expectation over all orders of the ties, averaged over the rows.
#include "host/eval/metric.h"
#include "host/eval/metrics.h"

namespace sllmr {

namespace {

template <class Value>
std::optional<double> mean(const RankedSlice& slice, Value value) {
  if (slice.rows.empty()) return std::nullopt;
  double sum = 0;
  for (const RankedRow& row : slice.rows) sum += value(row);
  return sum / static_cast<double>(slice.rows.size());
}

std::optional<double> auc(const RankedSlice& slice, int) {
  return mean(slice, [](const RankedRow& row) { return row.auc(); });
}

std::optional<double> recall(const RankedSlice& slice, int k) {
  return mean(slice, [&](const RankedRow& row) { return expected_recall(row.above, row.ties, k); });
}

std::optional<double> ndcg(const RankedSlice& slice, int k) {
  return mean(slice, [&](const RankedRow& row) { return expected_ndcg(row.above, row.ties, k); });
}

std::optional<double> mrr(const RankedSlice& slice, int) {
  return mean(slice, [](const RankedRow& row) {
    return expected_reciprocal_rank(row.above, row.ties, row.above + std::int64_t{row.ties} + 1);
  });
}

/// With one relevant item the precision averaged over the relevant ranks is 1 / rank.
std::optional<double> map(const RankedSlice& slice, int k) {
  return mean(slice, [&](const RankedRow& row) { return expected_reciprocal_rank(row.above, row.ties, k); });
}

}  // namespace

std::vector<Metric> rank_metrics() {
  using enum Better;
  constexpr Needs kNeeds = Needs::ranks;
  return {
      {"auc", "share of the negatives below the held-out item, ties half", higher, kNeeds, CutOff::no, auc},
      {"recall", "is the held-out item among the first K?", higher, kNeeds, CutOff::yes, recall},
      {"hit_rate", "the same as recall, as one item is held out; papers use both names", higher, kNeeds,
       CutOff::yes, recall},
      {"ndcg", "1 / log2(rank + 1) up to rank K, 0 beyond", higher, kNeeds, CutOff::yes, ndcg},
      {"mrr", "1 / rank, however low", higher, kNeeds, CutOff::no, mrr},
      {"map", "1 / rank up to rank K, 0 beyond: average precision with one relevant item", higher, kNeeds,
       CutOff::yes, map},
  };
}

}  // namespace sllmr
