#include "host/scores/score_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "host/scores/agreement.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

template <class T>
std::span<const T> row_of(const std::vector<T>& values, const std::vector<std::int64_t>& offsets, Id user) {
  const auto first = static_cast<std::size_t>(offsets[user]);
  const auto last = static_cast<std::size_t>(offsets[user + 1]);
  return std::span(values).subspan(first, last - first);
}

}  // namespace

std::int64_t ScoreTable::scored_users() const {
  std::int64_t users = 0;
  for (std::size_t u = 0; u + 1 < offsets.size(); ++u) users += offsets[u + 1] > offsets[u];
  return users;
}

std::span<const Id> ScoreTable::items_of(Id user) const {
  return row_of(items, offsets, user);
}

std::span<const float> ScoreTable::scores_of(Id user) const {
  return row_of(scores, offsets, user);
}

float ScoreTable::variance_of(Id user, std::size_t k) const {
  return variances.empty() ? 0.0F : row_of(variances, offsets, user)[k];
}

std::optional<std::size_t> ScoreTable::compared_probe(Id user) const {
  if (probe[user] < 0 || items_of(user).size() < 2) return std::nullopt;
  return static_cast<std::size_t>(probe[user]);
}

std::vector<LlmScore> entries_of(const ScoreTable& table) {
  std::vector<LlmScore> entries;
  entries.reserve(table.items.size());
  for (Id user = 1; user < static_cast<Id>(table.probe.size()); ++user) {
    const auto items = table.items_of(user);
    const auto scores = table.scores_of(user);
    for (std::size_t k = 0; k < items.size(); ++k) {
      const bool probe = static_cast<std::int32_t>(k) == table.probe[user];
      entries.push_back({user, items[k], scores[k], probe, table.variance_of(user, k)});
    }
  }
  return entries;
}

ScoreTable make_score_table(const Dataset& data, std::span<const LlmScore> scores, std::string scorer,
                            const ScoreOrigin& origin) {
  const auto at = [&](std::size_t i) { return origin ? origin(i) : fmt::format("score {}: ", i); };
  const auto n_rows = static_cast<std::size_t>(data.users.rows());

  ScoreTable table;
  table.offsets.assign(n_rows + 1, 0);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const LlmScore& s = scores[i];
    if (s.user < 1 || s.user >= data.users.rows() || s.item < 1 || s.item >= data.items.rows()) {
      throw Error(fmt::format("{}user {} or item {} is not an id of the data; score real users and items",
                              at(i), s.user, s.item));
    }
    if (!(s.score >= 0.0F && s.score <= 1.0F)) {  // false for NaN too
      throw Error(fmt::format("{}score {} is not in [0, 1]; normalise the scores", at(i), s.score));
    }
    if (!(s.variance >= 0.0F && s.variance <= 1.0F)) {
      throw Error(fmt::format("{}variance {} is not in [0, 1]; write 4 times that of scores in [0, 1]", at(i),
                              s.variance));
    }
    ++table.offsets[s.user + 1];
  }
  std::partial_sum(table.offsets.begin(), table.offsets.end(), table.offsets.begin());

  std::vector<std::size_t> order(scores.size());  // indexes into `scores`, by user
  std::vector<std::int64_t> next(table.offsets.begin(), table.offsets.end() - 1);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    order[next[scores[i].user]++] = i;
  }

  table.probe.assign(n_rows, -1);
  table.items.resize(scores.size());
  table.scores.resize(scores.size());
  const bool varies = std::ranges::any_of(scores, [](const LlmScore& s) { return s.variance > 0; });
  if (varies) table.variances.resize(scores.size());
  table.scorer = std::move(scorer);
  for (std::size_t u = 1; u < n_rows; ++u) {
    const auto first = order.begin() + table.offsets[u], last = order.begin() + table.offsets[u + 1];
    std::sort(first, last, [&](std::size_t a, std::size_t b) {
      return std::pair(scores[a].item, a) < std::pair(scores[b].item, b);
    });
    const auto twin = std::adjacent_find(
        first, last, [&](std::size_t a, std::size_t b) { return scores[a].item == scores[b].item; });
    if (twin != last) {
      throw Error(fmt::format("{}user {} has a second score for item {}; keep one of them", at(twin[1]),
                              data.users.token(static_cast<Id>(u)), data.items.token(scores[*twin].item)));
    }
    std::sort(first, last, [&](std::size_t a, std::size_t b) {
      return std::pair(-scores[a].score, scores[a].item) < std::pair(-scores[b].score, scores[b].item);
    });
    for (auto it = first; it != last; ++it) {
      const LlmScore& s = scores[*it];
      const auto slot = it - order.begin();
      table.items[slot] = s.item;
      table.scores[slot] = s.score;
      if (varies) table.variances[slot] = s.variance;
      if (!s.probe) continue;
      if (table.probe[u] >= 0) {
        const auto other = first[table.probe[u]];
        throw Error(fmt::format("{}user {} has a second probe; keep one of them", at(std::max(*it, other)),
                                data.users.token(static_cast<Id>(u))));
      }
      table.probe[u] = static_cast<std::int32_t>(it - first);
    }
  }
  return table;
}

void mark_probes(ScoreTable& table, const Split& split) {
  if (std::any_of(table.probe.begin(), table.probe.end(), [](std::int32_t index) { return index >= 0; }))
    return;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto train = split.train_items(user);
    if (train.size() < 2) continue;
    const auto items = table.items_of(user);
    const auto found = std::find(items.begin(), items.end(), train.back());
    if (found != items.end()) {
      table.probe[user] = static_cast<std::int32_t>(found - items.begin());
    }
  }
}

std::string probe_fault(const Split& split, Id user, Id item) {
  const auto history = split.data->user_history(user);
  const auto held_out = history.begin() + split.train_size[user];
  if (std::find(history.begin(), held_out, item) != held_out) return {};
  const char* what = std::find(held_out, history.end(), item) != history.end()
                         ? "is held out for validation or test, which training must not see"
                         : "is not one of the user's training items";
  return fmt::format(
      "the probe {} of user {} {}; make the last training item the probe, or read the data as "
      "they were when they were scored (data.keep, data.core and the other keys of data)",
      split.data->items.token(item), split.data->users.token(user), what);
}

void check_probes(const ScoreTable& table, const Split& split) {
  require(table.probe.size() == static_cast<std::size_t>(split.data->users.rows()),
          "the score table belongs to other data than the split; read it with this data set");
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const std::int32_t probe = table.probe[user];
    if (probe < 0) continue;
    const std::string fault = probe_fault(split, user, table.items_of(user)[probe]);
    if (!fault.empty()) throw Error(fmt::format("scores of {}: {}", table.scorer, fault));
  }
}

ScoreStats score_stats(const ScoreTable& table, const Split& split) {
  ScoreStats stats;
  stats.pairs = table.size();
  stats.users = table.scored_users();
  if (!table.scores.empty()) {
    const auto [lowest, highest] = std::minmax_element(table.scores.begin(), table.scores.end());
    stats.lowest = *lowest;
    stats.highest = *highest;
  }
  if (!table.variances.empty()) {
    stats.variance = std::accumulate(table.variances.begin(), table.variances.end(), 0.0) /
                     static_cast<double>(table.variances.size());
    stats.highest_variance = std::ranges::max(table.variances);
  }
  double sum[2] = {0, 0};
  std::int64_t judged[2] = {0, 0};
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const bool cold = split.cold[user] != 0;
    stats.cold_users += cold && !table.items_of(user).empty();
    stats.probes += table.probe[user] >= 0;
    if (const auto probe = table.compared_probe(user)) {
      sum[cold] += agreement(table.scores_of(user), *probe);
      ++judged[cold];
    }
  }
  const auto mean = [](double total, std::int64_t count) {
    return count > 0 ? total / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
  };
  stats.agreement = mean(sum[0] + sum[1], judged[0] + judged[1]);
  stats.agreement_cold = mean(sum[1], judged[1]);
  stats.agreement_warm = mean(sum[0], judged[0]);
  return stats;
}

}  // namespace sllmr
