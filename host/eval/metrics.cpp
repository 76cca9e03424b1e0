#include "host/eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/logit_loss.h"

namespace sllmr {

double ranking_auc(std::int64_t above, std::int64_t ties, std::int64_t negatives) {
  const auto below = static_cast<double>(negatives - above - ties);
  return (below + 0.5 * static_cast<double>(ties)) / static_cast<double>(negatives);
}

double expected_recall(std::int64_t above, std::int64_t ties, int k) {
  return std::clamp(static_cast<double>(k - above) / static_cast<double>(ties + 1), 0.0, 1.0);
}

double expected_ndcg(std::int64_t above, std::int64_t ties, int k) {
  double gain = 0;
  for (std::int64_t rank = above; rank < std::min<std::int64_t>(above + ties + 1, k); ++rank) {
    gain += 1.0 / std::log2(static_cast<double>(rank + 2));
  }
  return gain / static_cast<double>(ties + 1);
}

namespace {

/// Sum of 1 / n for first <= n <= last, to about 1e-15.
double reciprocals(std::int64_t first, std::int64_t last) {
  // Beyond, H(n) = log n + 1 / (2 n) - 1 / (12 n^2) + 1 / (120 n^4) + constant.
  constexpr std::int64_t kOneByOne = 128;
  double sum = 0;
  for (; first <= last && (first <= kOneByOne || last - first < kOneByOne); ++first) {
    sum += 1.0 / static_cast<double>(first);
  }
  if (first > last) return sum;
  const auto from = static_cast<double>(first - 1), to = static_cast<double>(last);
  const auto rest = [](double n) { return 1 / (2 * n) - 1 / (12 * n * n) + 1 / (120 * n * n * n * n); };
  return sum + std::log1p((to - from) / from) + rest(to) - rest(from);
}

}  // namespace

double expected_reciprocal_rank(std::int64_t above, std::int64_t ties, std::int64_t k) {
  return reciprocals(above + 1, std::min(above + ties + 1, k)) / static_cast<double>(ties + 1);
}

std::vector<std::int32_t> ascending_order(std::span<const float> logits) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return logits[static_cast<std::size_t>(a)] < logits[static_cast<std::size_t>(b)];
  });
  return order;
}

std::optional<double> roc_auc(std::span<const std::int32_t> order, std::span<const float> logits,
                              std::span<const float> labels) {
  std::int64_t positives = 0, negatives = 0;
  std::int64_t half_wins = 0;  // pairs won count 2, pairs tied 1: integers, so exact
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    const float logit = logits[static_cast<std::size_t>(order[begin])];
    std::int64_t tied_positives = 0, tied_negatives = 0;
    for (; end < order.size() && logits[static_cast<std::size_t>(order[end])] == logit; ++end) {
      ++(labels[static_cast<std::size_t>(order[end])] > 0.5F ? tied_positives : tied_negatives);
    }
    half_wins += tied_positives * (2 * negatives + tied_negatives);
    positives += tied_positives;
    negatives += tied_negatives;
  }
  if (positives == 0 || negatives == 0) return std::nullopt;
  return 0.5 * static_cast<double>(half_wins) /
         (static_cast<double>(positives) * static_cast<double>(negatives));
}

std::optional<double> log_loss(std::span<const std::int32_t> order, std::span<const float> logits,
                               std::span<const float> labels) {
  if (order.empty()) return std::nullopt;
  double sum = 0;
  for (const std::int32_t row : order) {
    const double x = logits[static_cast<std::size_t>(row)], label = labels[static_cast<std::size_t>(row)];
    sum += binary_cross_entropy(x, label).loss;
  }
  return sum / static_cast<double>(order.size());
}

}  // namespace sllmr
