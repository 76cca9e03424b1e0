#include "host/guidance/signals.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
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

float score_entropy(std::span<const float> scores) {
  double sum = 0, entropy = 0;
  for (const float score : scores) sum += score;
  if (scores.size() < 2 || sum <= 0) return 0;
  for (const float score : scores) {
    const double share = score / sum;
    if (share > 0) entropy -= share * std::log(share);
  }
  return static_cast<float>(entropy / std::log(static_cast<double>(scores.size())));
}

}  // namespace

std::vector<UserSignals> user_signals(const Split& split, const ScoreTable& table) {
  const std::vector<float> log_history = scaled_logs(split.train_size);
  std::vector<UserSignals> signals(static_cast<std::size_t>(split.data->users.rows()));
  for (std::size_t u = 0; u < signals.size(); ++u) {
    const float entropy = score_entropy(table.scores_of(static_cast<Id>(u)));
    signals[u] = {
        .cold = static_cast<float>(split.cold[u]), .log_history = log_history[u], .score_entropy = entropy};
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
