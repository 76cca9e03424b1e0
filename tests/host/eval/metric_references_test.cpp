// Every metric of the registry against a definition that is written out here: a metric without one fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "host/eval/ctr.h"
#include "host/eval/metric.h"
#include "host/eval/ranking.h"
#include "tests/host/eval/worlds.h"

namespace sllmr {
namespace {

constexpr int kTopK[] = {1, 3, 10, 40};  // 40: longer than any list

using Value = std::optional<double>;

/// A ranked row as the protocol defines it: what is scored, and the held-out item among it.
struct NaiveRow {
  Id user, positive;
  std::vector<std::pair<double, Id>> candidates;  // score and item, in the order of ids
};

Value mean_of(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  double sum = 0;
  for (const double x : values) sum += x;
  return sum / static_cast<double>(values.size());
}

/// What a row's metric is in one order of its candidates: is the item at each place the held-out one?
using OfOrder = std::function<double(const std::vector<bool>& relevant, int k)>;

/// Mean over the rows of the mean over all orders in which those that are level with the positive can stand.
Value over_all_orders(const std::vector<NaiveRow>& rows, int k, const OfOrder& metric) {
  std::vector<double> values;
  for (const NaiveRow& row : rows) {
    double mine = 0;
    for (const auto& [score, item] : row.candidates) mine = item == row.positive ? score : mine;
    std::size_t above = 0, below = 0;
    std::vector<int> level;
    for (const auto& [score, item] : row.candidates) {
      above += score > mine;
      below += score < mine;
      if (score == mine) level.push_back(item == row.positive ? 1 : 0);
    }
    EXPECT_LE(level.size(), 9U) << "too many orders";
    // Numbered, so that each of the orders counts, not each of the patterns.
    std::vector<std::pair<std::size_t, int>> numbered;
    for (const int is_positive : level) numbered.emplace_back(numbered.size(), is_positive);
    double sum = 0, orders = 0;
    do {
      std::vector<bool> relevant(above, false);
      for (const auto& [number, is_positive] : numbered) relevant.push_back(is_positive == 1);
      relevant.insert(relevant.end(), below, false);
      sum += metric(relevant, k);
      ++orders;
    } while (std::next_permutation(numbered.begin(), numbered.end()));
    values.push_back(sum / orders);
  }
  return mean_of(values);
}

std::size_t cut(const std::vector<bool>& relevant, int k) {
  return std::min(relevant.size(), static_cast<std::size_t>(k));
}

double hits(const std::vector<bool>& relevant, int k) {
  double found = 0;
  for (std::size_t place = 0; place < cut(relevant, k); ++place) found += relevant[place];
  return found;
}

/// Precision at each relevant place, over the number of relevant items.
double average_precision(const std::vector<bool>& relevant, int k) {
  double sum = 0, found = 0;
  for (std::size_t place = 0; place < cut(relevant, k); ++place) {
    if (!relevant[place]) continue;
    ++found;
    sum += found / static_cast<double>(place + 1);
  }
  return sum / static_cast<double>(std::ranges::count(relevant, true));
}

using OfRows = std::function<Value(const Split& split, const std::vector<NaiveRow>& rows, int k)>;

OfRows expected(const OfOrder& metric) {
  return [metric](const Split&, const std::vector<NaiveRow>& rows, int k) {
    return over_all_orders(rows, k, metric);
  };
}

const std::map<std::string, OfRows> kOfRanks = {
    {"auc", expected([](const std::vector<bool>& relevant, int) {
       double won = 0, pairs = 0;
       for (std::size_t p = 0; p < relevant.size(); ++p) {
         for (std::size_t n = 0; n < relevant.size(); ++n) {
           if (!relevant[p] || relevant[n]) continue;
           ++pairs;
           won += p < n;
         }
       }
       return won / pairs;
     })},
    {"recall", expected([](const std::vector<bool>& relevant, int k) {
       return hits(relevant, k) / static_cast<double>(std::ranges::count(relevant, true));
     })},
    {"hit_rate",
     expected([](const std::vector<bool>& relevant, int k) { return hits(relevant, k) > 0 ? 1.0 : 0.0; })},
    {"ndcg", expected([](const std::vector<bool>& relevant, int k) {
       double gain = 0, ideal = 0;
       for (std::size_t place = 0; place < cut(relevant, k); ++place) {
         gain += (std::exp2(relevant[place] ? 1 : 0) - 1) / std::log2(static_cast<double>(place) + 2);
       }
       const auto best = std::min<std::ptrdiff_t>(k, std::ranges::count(relevant, true));
       for (std::ptrdiff_t place = 0; place < best; ++place) {
         ideal += 1 / std::log2(static_cast<double>(place) + 2);
       }
       return gain / ideal;
     })},
    {"mrr", expected([](const std::vector<bool>& relevant, int) {
       const auto first = std::ranges::find(relevant, true) - relevant.begin();
       return 1.0 / static_cast<double>(first + 1);
     })},
    {"map", expected(average_precision)},
};

/// The best candidates, of equal scores the lower id first.
std::vector<Id> list_of(const NaiveRow& row, int k) {
  std::vector<std::pair<double, Id>> sorted = row.candidates;
  std::ranges::stable_sort(sorted, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Id> list;
  for (const auto& [score, item] : sorted) {
    if (std::ssize(list) < k) list.push_back(item);
  }
  return list;
}

std::vector<double> times_recommended(const Split& split, const std::vector<NaiveRow>& rows, int k) {
  std::vector<double> times;
  for (Id item = 1; item < split.data->items.rows(); ++item) {
    double count = 0;
    for (const NaiveRow& row : rows) {
      for (const Id each : list_of(row, k)) count += each == item;
    }
    times.push_back(count);
  }
  return times;
}

const std::map<std::string, OfRows> kOfLists = {
    {"coverage",
     [](const Split& split, const std::vector<NaiveRow>& rows, int k) -> Value {
       if (rows.empty()) return std::nullopt;
       std::set<Id> named;
       for (const NaiveRow& row : rows) {
         for (const Id item : list_of(row, k)) named.insert(item);
       }
       return static_cast<double>(named.size()) / split.data->items.count();
     }},
    {"gini",  // half the relative mean difference
     [](const Split& split, const std::vector<NaiveRow>& rows, int k) -> Value {
       if (rows.empty()) return std::nullopt;
       double differences = 0, sum = 0;
       const std::vector<double> times = times_recommended(split, rows, k);
       for (const double a : times) {
         sum += a;
         for (const double b : times) differences += std::abs(a - b);
       }
       return differences / (2 * static_cast<double>(times.size()) * sum);
     }},
    {"popularity",
     [](const Split& split, const std::vector<NaiveRow>& rows, int k) {
       std::vector<double> values;
       for (const NaiveRow& row : rows) {
         for (const Id item : list_of(row, k)) {
           double taken = 0;
           for (Id user = 1; user < split.data->users.rows(); ++user) {
             for (const Id each : split.train_items(user)) taken += each == item;
           }
           values.push_back(taken);
         }
       }
       return mean_of(values);
     }},
    {"diversity",
     [](const Split& split, const std::vector<NaiveRow>& rows, int k) {
       const auto set_of = [&](Id item) {
         const auto all = split.data->attributes_of(item);
         return std::set<Id>(all.begin(), all.end());
       };
       std::vector<double> values;
       for (const NaiveRow& row : rows) {
         const std::vector<Id> list = list_of(row, k);
         std::vector<double> distances;
         for (std::size_t a = 0; a < list.size(); ++a) {
           for (std::size_t b = a + 1; b < list.size(); ++b) {
             const std::set<Id> of_a = set_of(list[a]), of_b = set_of(list[b]);
             if (of_a.empty() || of_b.empty()) continue;
             std::set<Id> both, either = of_a;
             for (const Id each : of_b) {
               if (of_a.contains(each)) both.insert(each);
               either.insert(each);
             }
             distances.push_back(1 - static_cast<double>(both.size()) / static_cast<double>(either.size()));
           }
         }
         if (const Value mean = mean_of(distances)) values.push_back(*mean);
       }
       return mean_of(values);
     }},
};

struct NaiveLabelled {
  Id user;
  double logit;
  bool positive;
};

Value auc_of_pairs(const std::vector<NaiveLabelled>& rows) {
  std::vector<double> won;
  for (const NaiveLabelled& p : rows) {
    for (const NaiveLabelled& n : rows) {
      if (p.positive && !n.positive) won.push_back(p.logit > n.logit ? 1 : p.logit == n.logit ? 0.5 : 0);
    }
  }
  return mean_of(won);
}

double probability(const NaiveLabelled& row) {
  return std::exp(row.logit) / (1 + std::exp(row.logit));
}

Value mean_of(const std::vector<NaiveLabelled>& rows, double (*value)(const NaiveLabelled&)) {
  std::vector<double> values;
  for (const NaiveLabelled& row : rows) values.push_back(value(row));
  return mean_of(values);
}

const std::map<std::string, std::function<Value(const std::vector<NaiveLabelled>&)>> kOfLabels = {
    {"auc", auc_of_pairs},
    {"gauc",
     [](const std::vector<NaiveLabelled>& rows) -> Value {
       std::map<Id, std::vector<NaiveLabelled>> by_user;
       for (const NaiveLabelled& row : rows) by_user[row.user].push_back(row);
       double sum = 0, weight = 0;
       for (const auto& [user, own] : by_user) {
         const Value auc = auc_of_pairs(own);
         if (!auc) continue;
         sum += *auc * static_cast<double>(own.size());
         weight += static_cast<double>(own.size());
       }
       return weight > 0 ? Value(sum / weight) : std::nullopt;
     }},
    {"log_loss",
     [](const std::vector<NaiveLabelled>& rows) {
       return mean_of(rows, [](const NaiveLabelled& row) {
         return -std::log(row.positive ? probability(row) : 1 - probability(row));
       });
     }},
    {"brier",
     [](const std::vector<NaiveLabelled>& rows) {
       return mean_of(rows, [](const NaiveLabelled& row) {
         return std::pow(probability(row) - (row.positive ? 1.0 : 0.0), 2);
       });
     }},
    {"ece",
     [](const std::vector<NaiveLabelled>& rows) -> Value {
       if (rows.empty()) return std::nullopt;
       double error = 0;
       for (int bin = 0; bin < 15; ++bin) {
         std::vector<double> confidence, accuracy;
         for (const NaiveLabelled& row : rows) {
           if (probability(row) < bin / 15.0 || probability(row) >= (bin + 1) / 15.0) continue;
           confidence.push_back(probability(row));
           accuracy.push_back(row.positive ? 1 : 0);
         }
         if (confidence.empty()) continue;
         error += static_cast<double>(confidence.size()) / static_cast<double>(rows.size()) *
                  std::abs(*mean_of(accuracy) - *mean_of(confidence));
       }
       return error;
     }},
};

void expect_value(const Value& value, const Value& expected) {
  ASSERT_EQ(value.has_value(), expected.has_value());
  if (expected) {
    EXPECT_NEAR(*value, *expected, 1e-12 * std::max(1.0, std::abs(*expected)));
  }
}

/// Some items have no attribute, some the same one twice.
Dataset with_attributes(Dataset data) {
  std::mt19937 engine(9);
  data.attribute_offsets = {0, 0};
  for (Id item = 1; item < data.items.rows(); ++item) {
    for (auto k = engine() % 5; k > 0; --k) data.item_attributes.push_back(1 + static_cast<Id>(engine() % 6));
    data.attribute_offsets.push_back(static_cast<std::int64_t>(data.item_attributes.size()));
  }
  return data;
}

class MetricReferences : public testing::Test {
 protected:
  MetricReferences()
      : data_(with_attributes(random_data(120, 30, 6))),
        split_(leave_one_out(data_, {.cold_history = 4, .tail_share = 0.4})),
        scorer_(data_, 3) {}

  bool is_member(Slice slice, Id user, Id item) const {
    return slice == Slice::all ||
           (slice == Slice::cold && split_.cold[static_cast<std::size_t>(user)] != 0) ||
           (slice == Slice::tail && split_.tail[static_cast<std::size_t>(item)] != 0);
  }

  std::vector<NaiveRow> ranked(Slice slice) const {
    std::vector<NaiveRow> rows;
    for (Id user = 1; user < data_.users.rows(); ++user) {
      const auto history = data_.user_history(user);
      if (history.size() < 3) continue;
      NaiveRow row{user, history.back(), {}};
      const std::set<Id> seen(history.begin(), history.end() - 1);
      for (Id item = 1; item < data_.items.rows(); ++item) {
        if (item != row.positive && seen.contains(item)) continue;
        row.candidates.emplace_back(scorer_.logit(user, item), item);
      }
      if (row.candidates.size() > 1 && is_member(slice, user, row.positive)) rows.push_back(row);
    }
    return rows;
  }

  Dataset data_;
  Split split_;
  FixedScorer scorer_;
};

TEST_F(MetricReferences, EveryMetricOfRanksAndListsEqualsItsDefinition) {
  const RankingResult result =
      evaluate_full(Context(Device::cpu, 2), scorer_, split_, Target::test, kTopK, 0, true);
  constexpr std::array kAvailable = {Needs::ranks, Needs::lists};
  const std::vector<MetricAt> metrics = metrics_of(kAvailable, kTopK);
  ASSERT_EQ(result.figures.figures.size(), metrics.size());
  for (const Slice slice : kEverySlice) {
    const std::vector<NaiveRow> rows = ranked(slice);
    ASSERT_GT(rows.size(), 5U);
    ASSERT_EQ(result.figures.rows(slice), std::ssize(rows));
    for (const MetricAt& each : metrics) {
      SCOPED_TRACE(each.name + " " + kSliceNames[static_cast<std::size_t>(slice)]);
      const auto& references = each.metric->needs == Needs::ranks ? kOfRanks : kOfLists;
      const auto reference = references.find(std::string(each.metric->name));
      ASSERT_NE(reference, references.end()) << "define the metric here";
      const Value expected = reference->second(split_, rows, each.k);
      // A list of one has no pairs.
      EXPECT_EQ(expected.has_value(), each.name != "diversity@1");
      expect_value(result.figures.of(each.name, slice), expected);
    }
  }
}

TEST_F(MetricReferences, EveryMetricOfLabelsEqualsItsDefinition) {
  std::mt19937 engine(4);
  std::vector<CtrRow> rows;
  std::vector<float> logits;
  for (int k = 0; k < 400; ++k) {
    const auto user = static_cast<Id>(1 + engine() % 60), item = static_cast<Id>(1 + engine() % 30);
    rows.push_back({user, item, 1, engine() % 3 == 0 ? 1.0F : 0.0F});
    logits.push_back(0.3F * static_cast<float>(engine() % 31) - 4.1F + rows.back().label);
  }
  const CtrResult result = evaluate_ctr(split_, rows, logits);
  ASSERT_EQ(result.figures.figures.size(), label_metrics().size());
  for (const Slice slice : kEverySlice) {
    std::vector<NaiveLabelled> members;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (!is_member(slice, rows[k].user, rows[k].item)) continue;
      members.push_back({rows[k].user, double{logits[k]}, rows[k].label == 1});
    }
    ASSERT_GT(members.size(), 30U);
    ASSERT_EQ(result.figures.rows(slice), std::ssize(members));
    for (const Metric& metric : label_metrics()) {
      SCOPED_TRACE(std::string(metric.name) + " " + kSliceNames[static_cast<std::size_t>(slice)]);
      const auto reference = kOfLabels.find(std::string(metric.name));
      ASSERT_NE(reference, kOfLabels.end()) << "define the metric here";
      const Value expected = reference->second(members);
      ASSERT_TRUE(expected.has_value());
      expect_value(result.figures.of(metric.name, slice), expected);
    }
  }
}

TEST_F(MetricReferences, ASliceWithoutARowHasNoValue) {
  for (const Metric& metric : metrics()) {
    const auto value = std::visit(
        [&](auto of) -> Value {
          if constexpr (std::is_same_v<decltype(of), Metric::OfRanked>) {
            return of({split_, {}, {}}, metric.cut_off == CutOff::yes ? 10 : 0);
          } else {
            return of({{}, {}, {}, {}});
          }
        },
        metric.value);
    EXPECT_FALSE(value.has_value()) << metric.name;
  }
}

TEST(Metrics, TheRegistryIsWellFormed) {
  std::set<std::pair<Needs, std::string_view>> names;
  for (const Metric& metric : metrics()) {
    EXPECT_TRUE(names.insert({metric.needs, metric.name}).second) << metric.name;
    EXPECT_FALSE(metric.summary.empty()) << metric.name;
    EXPECT_EQ(metric.name.find('@'), metric.name.npos) << metric.name;
    EXPECT_EQ(std::holds_alternative<Metric::OfLabelled>(metric.value), metric.needs == Needs::labels);
    EXPECT_TRUE(metric.cut_off == CutOff::no || metric.needs != Needs::labels) << metric.name;
  }
}

/// Lists of a small catalogue: 1 is recommended thrice, 2 twice, 3 once, 4 never.
TEST(Metrics, ListsByHand) {
  Dataset data = data_of({{1, 1, 1, 2, 2, 3}}, 4);
  data.attribute_offsets = {0, 0, 2, 4, 5, 5};
  data.item_attributes = {7, 8, 8, 9, 7};  // 1: 7 8; 2: 8 9; 3: 7; 4: none
  Split split = leave_one_out(data);
  split.popularity = {0, 3, 2, 1, 0};
  const std::vector<Id> lists[] = {{1, 2}, {2, 1}, {1, 3}};
  RankedSlice slice{split, std::vector<RankedRow>(3), {}};
  for (const std::vector<Id>& list : lists) slice.lists.emplace_back(list);
  std::map<std::string_view, double> value, of_one;
  for (const Metric& metric : list_metrics()) {
    const auto of = std::get<Metric::OfRanked>(metric.value);
    value[metric.name] = of(slice, 2).value();
    of_one[metric.name] = of(slice, 1).value_or(-1);
  }
  EXPECT_DOUBLE_EQ(value["coverage"], 0.75);
  EXPECT_DOUBLE_EQ(value["gini"], (-3 * 0 - 1 * 1 + 1 * 2 + 3 * 3) / (4.0 * 6));
  EXPECT_DOUBLE_EQ(value["popularity"], (3 * 3 + 2 * 2 + 1) / 6.0);
  EXPECT_DOUBLE_EQ(value["diversity"], (2.0 / 3 + 2.0 / 3 + 1.0 / 2) / 3);
  EXPECT_DOUBLE_EQ(of_one["coverage"], 0.5);
  EXPECT_DOUBLE_EQ(of_one["popularity"], (3 + 2 + 3) / 3.0);
  EXPECT_DOUBLE_EQ(of_one["diversity"], -1) << "a list of one item has no pairs";
}

TEST(Metrics, DataWithoutAttributesHaveNoDiversity) {
  const Dataset data = random_data(50, 20, 4);
  const Split split = leave_one_out(data);
  const FixedScorer scorer(data, 1);
  const RankingResult result =
      evaluate_full(Context(Device::cpu), scorer, split, Target::test, kTopK, 0, true);
  EXPECT_FALSE(result.figures.of("diversity@10").has_value());
  EXPECT_TRUE(result.figures.of("coverage@10").has_value());
}

}  // namespace
}  // namespace sllmr
