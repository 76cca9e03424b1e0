#include "host/guidance/signals.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>

namespace sllmr {

namespace {

/// log(1 + n), 1 at the largest.
std::vector<float> scaled_logs(std::span<const std::int32_t> counts) {
  const std::int32_t most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  std::vector<float> logs(counts.size());
  for (std::size_t k = 0; k < counts.size(); ++k) {
    logs[k] = most == 0 ? 0.0F : static_cast<float>(std::log1p(counts[k]) / std::log1p(most));
  }
  return logs;
}

/// Entropy of the weights as a distribution, as a share of log(most); 0 where most < 2 or nothing weighs
/// anything.
float entropy_of(std::span<const double> weights, std::size_t most) {
  double sum = 0, entropy = 0;
  for (const double weight : weights) sum += weight;
  if (most < 2 || sum <= 0) return 0;
  for (const double weight : weights) {
    const double share = weight / sum;
    if (share > 0) entropy -= share * std::log(share);
  }
  return static_cast<float>(entropy / std::log(static_cast<double>(most)));
}

float score_entropy(std::span<const float> scores) {
  const std::vector<double> weights(scores.begin(), scores.end());
  return entropy_of(weights, weights.size());
}

float user_entropy(const Split& split, Id user) {
  const Dataset& data = *split.data;
  std::map<Id, double> counts;
  std::size_t all = 0;
  for (const Id item : split.train_items(user)) {
    auto entry = static_cast<std::size_t>(data.attribute_offsets[static_cast<std::size_t>(item)]);
    for (const Id attribute : data.attributes_of(item)) {
      if (data.kind_of(entry++) == AttributeKind::brand) continue;
      ++counts[attribute];
      ++all;
    }
  }
  std::vector<double> weights;
  for (const auto& [attribute, count] : counts) weights.push_back(count);
  return entropy_of(weights, all);
}

float judge_variance(const ScoreTable& table, Id user) {
  const std::size_t n = table.scores_of(user).size();
  double sum = 0;
  for (std::size_t k = 0; k < n; ++k) sum += static_cast<double>(table.variance_of(user, k));
  return n == 0 ? 0.0F : static_cast<float>(sum / static_cast<double>(n));
}

}  // namespace

std::vector<UserSignals> user_signals(const Split& split, const ScoreTable& table) {
  const std::vector<float> log_history = scaled_logs(split.train_size);
  std::vector<UserSignals> signals(static_cast<std::size_t>(split.data->users.rows()));
  for (std::size_t u = 0; u < signals.size(); ++u) {
    const auto user = static_cast<Id>(u);
    signals[u] = {.cold = static_cast<float>(split.cold[u]),
                  .log_history = log_history[u],
                  .score_entropy = score_entropy(table.scores_of(user)),
                  .user_entropy = user_entropy(split, user),
                  .judge_variance = judge_variance(table, user)};
  }
  return signals;
}

std::vector<ItemSignals> item_signals(const Split& split) {
  const std::vector<float> log_popularity = scaled_logs(split.popularity);
  std::vector<ItemSignals> signals(static_cast<std::size_t>(split.data->items.rows()));
  for (std::size_t i = 0; i < signals.size(); ++i) {
    signals[i] = {.tail = static_cast<float>(split.tail[i]), .log_popularity = log_popularity[i]};
  }
  return signals;
}

}  // namespace sllmr
