#include "host/scores/table_quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>

#include "host/scores/agreement.h"

namespace sllmr {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kZ = 1.959964;  // 95 %

// Upper ends of the buckets of history lengths, the probe not counted.
constexpr std::array<std::size_t, 5> kHistory = {2, 4, 6, 9, 14};
// Upper ends of the buckets of popularity, as shares of the catalogue; the first is the tail as the split has
// it.
constexpr std::array<double, 4> kPopularity = {0.2, 0.5, 0.8, 0.95};

struct Sum {
  double llm = 0, popularity = 0;
  std::int64_t n = 0;
  void add(double by_llm, double by_popularity) {
    llm += by_llm;
    popularity += by_popularity;
    ++n;
  }
  ReliabilityCell cell() const {
    return {wilson(n > 0 ? llm / static_cast<double>(n) : kNaN, n),
            n > 0 ? popularity / static_cast<double>(n) : kNaN};
  }
};

/// Spearman's, without ties in `x`; of `y`, ties take their mean rank.
double spearman(const std::vector<double>& y) {
  const auto n = static_cast<double>(y.size());
  if (y.size() < 2) return kNaN;
  double xy = 0, yy = 0, xx = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    double rank = 0.5;
    for (const double other : y) rank += other < y[i] ? 1.0 : other == y[i] ? 0.5 : 0.0;
    const double dx = static_cast<double>(i) + 1 - (n + 1) / 2, dy = rank - (n + 1) / 2;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return yy > 0 ? xy / std::sqrt(xx * yy) : kNaN;
}

}  // namespace

Proportion wilson(double mean, std::int64_t n) {
  if (n <= 0) return {kNaN, kNaN, kNaN, 0};
  const auto count = static_cast<double>(n);
  const double z2 = kZ * kZ / count;
  const double centre = (mean + z2 / 2) / (1 + z2);
  const double half = kZ / (1 + z2) * std::sqrt(mean * (1 - mean) / count + z2 / (4 * count));
  return {mean, std::max(0.0, centre - half), std::min(1.0, centre + half), n};
}

ReliabilityMap reliability_map(const ScoreTable& table, const Split& split) {
  ReliabilityMap map;
  std::size_t from = 1;
  for (const std::size_t to : kHistory) {
    map.history_labels.push_back(from == to ? fmt::format("{}", to) : fmt::format("{}-{}", from, to));
    from = to + 1;
  }
  map.history_labels.push_back(fmt::format("{}+", from));
  double below = 0;
  for (const double to : kPopularity) {
    map.popularity_labels.push_back(below == 0 ? fmt::format("tail {:.0f} %", 100 * to)
                                               : fmt::format("{:.0f}-{:.0f} %", 100 * below, 100 * to));
    below = to;
  }
  map.popularity_labels.push_back(fmt::format("top {:.0f} %", 100 * (1 - below)));

  // Rank of each item from the least popular, as a share; ties by id, as the split orders the tail.
  const auto n_items = static_cast<std::size_t>(split.taken_items);
  std::vector<Id> order(n_items);
  std::iota(order.begin(), order.end(), 1);
  std::stable_sort(order.begin(), order.end(),
                   [&](Id a, Id b) { return split.popularity[a] < split.popularity[b]; });
  std::vector<double> share(static_cast<std::size_t>(split.data->items.rows()), 0.0);
  for (std::size_t k = 0; k < n_items; ++k)
    share[order[k]] = static_cast<double>(k) / static_cast<double>(n_items);

  std::vector<std::vector<Sum>> sums(map.history_labels.size(),
                                     std::vector<Sum>(map.popularity_labels.size()));
  Sum all, cold, warm, tail, head;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto items = table.items_of(user);
    const auto probe = table.compared_probe(user);
    if (!probe) continue;
    const double by_llm = agreement(table.scores_of(user), *probe);
    std::vector<std::int32_t> popularity;
    for (const Id item : items) popularity.push_back(split.popularity[item]);
    const double by_popularity = agreement(popularity, *probe);
    const std::size_t train = split.train_items(user).size(), history = std::max<std::size_t>(train, 1) - 1;
    const auto row = std::lower_bound(kHistory.begin(), kHistory.end(), history) - kHistory.begin();
    const auto column =
        std::upper_bound(kPopularity.begin(), kPopularity.end(), share[items[*probe]]) - kPopularity.begin();
    sums[row][column].add(by_llm, by_popularity);
    all.add(by_llm, by_popularity);
    (split.cold[user] ? cold : warm).add(by_llm, by_popularity);
    (split.tail[items[*probe]] ? tail : head).add(by_llm, by_popularity);
  }
  for (const auto& row : sums) {
    map.cells.emplace_back();
    for (const Sum& sum : row) map.cells.back().push_back(sum.cell());
  }
  map.all = all.cell();
  map.cold = cold.cell();
  map.warm = warm.cell();
  map.tail = tail.cell();
  map.head = head.cell();
  return map;
}

Calibration calibration(const ScoreTable& table) {
  constexpr int kBins = 10;
  std::array<double, kBins> sum{};
  std::array<std::int64_t, kBins> count{}, probes{};
  std::int64_t all_probes = 0, all = 0;
  for (std::size_t user = 0; user < table.probe.size(); ++user) {
    if (table.probe[user] < 0) continue;
    const auto scores = table.scores_of(static_cast<Id>(user));
    for (std::size_t k = 0; k < scores.size(); ++k) {
      const int bin = std::min(kBins - 1, static_cast<int>(kBins * scores[k]));
      const bool probe = static_cast<std::int32_t>(k) == table.probe[user];
      sum[bin] += static_cast<double>(scores[k]);
      ++count[bin];
      probes[bin] += probe;
      all_probes += probe;
      ++all;
    }
  }
  Calibration result;
  std::vector<double> rates;
  for (int b = 0; b < kBins; ++b) {
    const auto n = static_cast<double>(count[b]);
    CalibrationBin bin{static_cast<double>(b) / kBins, static_cast<double>(b + 1) / kBins,
                       count[b] > 0 ? sum[b] / n : kNaN,
                       wilson(count[b] > 0 ? static_cast<double>(probes[b]) / n : kNaN, count[b])};
    if (count[b] > 0) rates.push_back(bin.probes.value);
    result.bins.push_back(bin);
  }
  result.base_rate = all > 0 ? static_cast<double>(all_probes) / static_cast<double>(all) : kNaN;
  result.rank_correlation = spearman(rates);
  return result;
}

Coverage coverage(const ScoreTable& table, const Split& split) {
  Coverage c;
  c.users = split.data->users.count();
  c.items = split.data->items.count();
  c.pairs = table.size();
  std::vector<std::uint8_t> scored(static_cast<std::size_t>(split.data->items.rows()), 0);
  std::vector<std::int64_t> sizes;
  double ties = 0, pairs = 0;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto items = table.items_of(user);
    const auto scores = table.scores_of(user);
    c.cold_users += split.cold[user];
    if (items.empty()) continue;
    sizes.push_back(static_cast<std::int64_t>(items.size()));
    c.scored_cold += split.cold[user];
    for (const Id item : items) scored[item] = 1;
    c.at_default += std::count(scores.begin(), scores.end(), 0.5F);
    // Scores are sorted, so equal ones are neighbours.
    for (std::size_t k = 0; k < scores.size();) {
      std::size_t end = k;
      while (end < scores.size() && scores[end] == scores[k]) ++end;
      const auto n = static_cast<double>(end - k);
      ties += n * (n - 1) / 2;
      k = end;
    }
    const auto n = static_cast<double>(scores.size());
    pairs += n * (n - 1) / 2;
  }
  c.ties = pairs > 0 ? ties / pairs : kNaN;
  for (Id item = 1; item < split.data->items.rows(); ++item) {
    c.tail_items += split.tail[item];
    c.scored_items += scored[item];
    c.scored_tail += scored[item] && split.tail[item];
  }
  c.scored_users = static_cast<std::int64_t>(sizes.size());
  std::sort(sizes.begin(), sizes.end());
  if (!sizes.empty()) {
    c.fewest = sizes.front();
    c.median = sizes[sizes.size() / 2];
    c.most = sizes.back();
  }
  return c;
}

}  // namespace sllmr
