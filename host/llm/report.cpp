#include "host/llm/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>
#include <numeric>

namespace sllmr {
namespace {

using nlohmann::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kZ = 1.959964;  // 95 %
constexpr double kRare = 1e-3;   // probability below which a count is none of chance

// Upper ends of the buckets of history lengths, the probe not counted.
constexpr std::array<std::size_t, 5> kHistory = {2, 4, 6, 9, 14};
// Upper ends of the buckets of popularity, as shares of the catalogue; the first is the tail as the split has
// it.
constexpr std::array<double, 4> kPopularity = {0.2, 0.5, 0.8, 0.95};

/// Share of the user's other entries that `value` puts below the probe, ties half.
template <class Value>
double agreement(std::size_t count, std::size_t probe, Value&& value) {
  double below = -0.5;  // the probe ties with itself
  for (std::size_t k = 0; k < count; ++k)
    below += value(k) < value(probe) ? 1.0 : value(k) == value(probe) ? 0.5 : 0.0;
  return below / static_cast<double>(count - 1);
}

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
  const auto n_items = static_cast<std::size_t>(split.data->items.count());
  std::vector<Id> order(n_items);
  std::iota(order.begin(), order.end(), 1);
  std::stable_sort(order.begin(), order.end(),
                   [&](Id a, Id b) { return split.popularity[a] < split.popularity[b]; });
  std::vector<double> share(n_items + 1, 0.0);
  for (std::size_t k = 0; k < n_items; ++k)
    share[order[k]] = static_cast<double>(k) / static_cast<double>(n_items);

  std::vector<std::vector<Sum>> sums(map.history_labels.size(),
                                     std::vector<Sum>(map.popularity_labels.size()));
  Sum all, cold, warm, tail, head;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto items = table.items_of(user);
    const auto scores = table.scores_of(user);
    if (table.probe[user] < 0 || items.size() < 2) continue;
    const auto probe = static_cast<std::size_t>(table.probe[user]);
    const double by_llm = agreement(items.size(), probe, [&](std::size_t k) { return scores[k]; });
    const double by_popularity =
        agreement(items.size(), probe, [&](std::size_t k) { return split.popularity[items[k]]; });
    const std::size_t train = split.train_items(user).size(), history = std::max<std::size_t>(train, 1) - 1;
    const auto row = std::lower_bound(kHistory.begin(), kHistory.end(), history) - kHistory.begin();
    const auto column =
        std::upper_bound(kPopularity.begin(), kPopularity.end(), share[items[probe]]) - kPopularity.begin();
    sums[row][column].add(by_llm, by_popularity);
    all.add(by_llm, by_popularity);
    (split.cold[user] ? cold : warm).add(by_llm, by_popularity);
    (split.tail[items[probe]] ? tail : head).add(by_llm, by_popularity);
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

bool LeakageAudit::too_many() const {
  // P(X >= found) of a Poisson distribution is a regularised gamma function of its mean.
  return held_out_candidates > 0 &&
         boost::math::gamma_p(static_cast<double>(held_out_candidates), held_out_expected) < kRare;
}

bool LeakageAudit::too_few() const {
  // P(X <= found).
  return boost::math::gamma_q(static_cast<double>(held_out_candidates) + 1, held_out_expected) < kRare;
}

namespace {

/// Chance by controls matched on popularity: whether a user got an item that is held out is compared with the
/// items next to it in popularity which the user has not touched either.
class MatchedControls {
 public:
  explicit MatchedControls(const Split& split) : split_(split) {
    const auto rows = static_cast<std::size_t>(split.data->items.rows());
    order_.resize(rows - 1);
    std::iota(order_.begin(), order_.end(), Id{1});
    std::ranges::stable_sort(order_, {}, [&](Id item) { return split.popularity[item]; });
    place_.resize(rows);
    for (std::size_t k = 0; k < order_.size(); ++k) place_[order_[k]] = static_cast<std::ptrdiff_t>(k);
    touched_by_.assign(rows, 0);
    shown_to_.assign(rows, 0);
  }

  void begin_user(Id user) {
    user_ = user;
    untouched_ = static_cast<double>(split_.data->items.count());
    for (const Id item : split_.data->user_history(user)) {
      untouched_ -= touched_by_[item] != user;
      touched_by_[item] = user;
    }
    shown_ = 0;
  }
  void add_candidate(Id item) {
    shown_to_[item] = user_;
    ++shown_;
  }
  /// The chance that `item`, held out of the user's history, is one of the candidates; one uniform draw of as
  /// many counts as a control, so that it is never nothing.
  double chance_of(Id item) const {
    constexpr int kControls = 20;
    int controls = 0, hits = 0;
    const auto last = static_cast<std::ptrdiff_t>(order_.size()) - 1;
    for (std::ptrdiff_t below = place_[item] - 1, above = place_[item] + 1;
         controls < kControls && (below >= 0 || above <= last);) {
      for (std::ptrdiff_t* at : {&below, &above}) {
        if (*at < 0 || *at > last) continue;
        const Id control = order_[*at];
        *at += at == &below ? -1 : 1;
        if (touched_by_[control] == user_) continue;
        ++controls;
        hits += shown_to_[control] == user_;
      }
    }
    const double uniform = std::min(1.0, shown_ / (untouched_ + 1));
    return (hits + uniform) / (controls + 1);
  }

 private:
  const Split& split_;
  std::vector<Id> order_;              // by popularity
  std::vector<std::ptrdiff_t> place_;  // by item: where order_ has it
  std::vector<Id> touched_by_, shown_to_;
  Id user_ = 0;
  double untouched_ = 0, shown_ = 0;
};

}  // namespace

LeakageAudit audit_table(const ScoreTable& table, const Split& split) {
  LeakageAudit audit;
  const Dataset& data = *split.data;
  const auto in = [](std::span<const Id> list, Id item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  const auto is_probe = [&](Id user, std::size_t k) {
    return static_cast<std::int32_t>(k) == table.probe[user];
  };
  std::vector<std::int64_t> shown(static_cast<std::size_t>(data.items.rows()), 0);  // probes do not count
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto items = table.items_of(user);
    const auto train = split.train_items(user);
    const auto held_out = data.user_history(user).subspan(train.size());
    for (std::size_t k = 0; k < items.size(); ++k) {
      const bool known = in(train, items[k]);
      if (is_probe(user, k)) {
        ++audit.probes;
        audit.probes_not_in_training += !known;
        continue;
      }
      ++audit.candidates;
      ++shown[items[k]];
      audit.training_candidates += known;
      audit.held_out_candidates += !known && in(held_out, items[k]);
    }
  }
  MatchedControls controls(split);
  double by_others = 0, by_controls = 0;
  std::vector<Id> held_out;
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto items = table.items_of(user);
    const auto own = static_cast<double>(items.size()) - (table.probe[user] >= 0 ? 1.0 : 0.0);
    if (own == 0) continue;
    controls.begin_user(user);
    for (std::size_t k = 0; k < items.size(); ++k) {
      if (!is_probe(user, k)) controls.add_candidate(items[k]);
    }
    const auto train = split.train_items(user);
    const auto rest = data.user_history(user).subspan(train.size());
    held_out.assign(rest.begin(), rest.end());
    std::sort(held_out.begin(), held_out.end());
    held_out.erase(std::unique(held_out.begin(), held_out.end()), held_out.end());
    for (const Id item : held_out) {
      if (in(train, item)) continue;
      std::int64_t others = shown[item];
      for (std::size_t k = 0; k < items.size(); ++k) others -= items[k] == item && !is_probe(user, k);
      const double share =
          (static_cast<double>(others) + own / static_cast<double>(data.items.count())) /
          static_cast<double>(audit.candidates);  // of the others' candidates and `own` uniform draws
      by_others += std::min(1.0, own * share);
      by_controls += controls.chance_of(item);
    }
  }
  audit.held_out_expected = std::max(by_others, by_controls);
  return audit;
}

std::string leak_text(const LeakageAudit& audit) {
  return fmt::format(
      "{} of the users' validation and test items are among their {} candidates, where chance puts {:.1f}",
      audit.held_out_candidates, audit.candidates, audit.held_out_expected);
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
                     {"ties", number(c.ties)}};

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
