// Metrics of what is recommended: the first K items of each row's list, whoever took which.
#include <algorithm>
#include <cstdint>

#include "host/eval/metric.h"

namespace sllmr {

namespace {

std::span<const Id> first_of(std::span<const Id> list, int k) {
  return list.first(std::min(list.size(), static_cast<std::size_t>(k)));
}

/// How often each item of the catalogue is recommended, by id from 1.
std::vector<std::int64_t> recommendations(const RankedSlice& slice, int k) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(slice.split.data->items.count()));
  for (const std::span<const Id> list : slice.lists) {
    for (const Id item : first_of(list, k)) ++counts[static_cast<std::size_t>(item) - 1];
  }
  return counts;
}

std::optional<double> coverage(const RankedSlice& slice, int k) {
  if (slice.lists.empty()) return std::nullopt;
  const std::vector<std::int64_t> counts = recommendations(slice, k);
  const auto never = std::ranges::count(counts, 0);
  return 1.0 - static_cast<double>(never) / static_cast<double>(counts.size());
}

/// 0 where all items are recommended equally often, 1 - 1 / items where one gets every place.
std::optional<double> gini(const RankedSlice& slice, int k) {
  if (slice.lists.empty()) return std::nullopt;
  std::vector<std::int64_t> counts = recommendations(slice, k);
  std::ranges::sort(counts);
  // Sum over (2 place - n - 1) count / (n sum of counts), places from 1: in integers, so exact.
  const auto n = static_cast<std::int64_t>(counts.size());
  std::int64_t weighted = 0, sum = 0;
  for (std::int64_t place = 1; place <= n; ++place) {
    const std::int64_t count = counts[static_cast<std::size_t>(place) - 1];
    weighted += (2 * place - n - 1) * count;
    sum += count;
  }
  return static_cast<double>(weighted) / (static_cast<double>(n) * static_cast<double>(sum));
}

std::optional<double> popularity(const RankedSlice& slice, int k) {
  if (slice.lists.empty()) return std::nullopt;
  std::int64_t sum = 0, n = 0;
  for (const std::span<const Id> list : slice.lists) {
    for (const Id item : first_of(list, k)) {
      sum += slice.split.popularity[static_cast<std::size_t>(item)];
      ++n;
    }
  }
  return static_cast<double>(sum) / static_cast<double>(n);
}

/// By item id, each attribute once, sorted.
std::vector<std::vector<Id>> attribute_sets(const Dataset& data) {
  std::vector<std::vector<Id>> sets(static_cast<std::size_t>(data.items.rows()));
  if (data.attribute_offsets.empty()) return sets;
  for (Id item = 1; item < data.items.rows(); ++item) {
    std::vector<Id>& own = sets[static_cast<std::size_t>(item)];
    const std::span<const Id> all = data.attributes_of(item);
    own.assign(all.begin(), all.end());
    std::ranges::sort(own);
    own.erase(std::unique(own.begin(), own.end()), own.end());
  }
  return sets;
}

/// 1 - |a and b| / |a or b| of two sorted sets, not both empty.
double jaccard_distance(const std::vector<Id>& a, const std::vector<Id>& b) {
  std::size_t shared = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j]) {
      ++shared;
      ++i;
      ++j;
    } else {
      ++(a[i] < b[j] ? i : j);
    }
  }
  return 1.0 - static_cast<double>(shared) / static_cast<double>(a.size() + b.size() - shared);
}

/// The distance of two items is the Jaccard distance of their sets of attributes as the data have them:
/// brand, categories, genres and unlabelled ones alike. A list's diversity is the mean over its pairs of
/// items that both have attributes, the figure is the mean over the lists that have such a pair.
std::optional<double> diversity(const RankedSlice& slice, int k) {
  const std::vector<std::vector<Id>> attributes = attribute_sets(*slice.split.data);
  double sum = 0;
  std::int64_t lists = 0;
  std::vector<const std::vector<Id>*> known;  // the list's items that have attributes
  for (const std::span<const Id> list : slice.lists) {
    known.clear();
    for (const Id item : first_of(list, k)) {
      const std::vector<Id>& own = attributes[static_cast<std::size_t>(item)];
      if (!own.empty()) known.push_back(&own);
    }
    if (known.size() < 2) continue;
    double distances = 0;
    for (std::size_t a = 0; a < known.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) distances += jaccard_distance(*known[a], *known[b]);
    }
    const auto n = static_cast<double>(known.size());
    sum += distances / (n * (n - 1) / 2);
    ++lists;
  }
  if (lists == 0) return std::nullopt;
  return sum / static_cast<double>(lists);
}

}  // namespace

std::vector<Metric> list_metrics() {
  using enum Better;
  constexpr Needs kNeeds = Needs::lists;
  return {
      {"coverage", "share of the catalogue's items that some list names", higher, kNeeds, CutOff::yes,
       coverage},
      {"gini", "Gini coefficient of how often each item of the catalogue is recommended, never included",
       lower, kNeeds, CutOff::yes, gini},
      {"popularity", "mean training interactions of a recommended item", lower, kNeeds, CutOff::yes,
       popularity},
      {"diversity", "mean Jaccard distance of the attributes of a list's items, over pairs, then lists",
       higher, kNeeds, CutOff::yes, diversity},
  };
}

}  // namespace sllmr
