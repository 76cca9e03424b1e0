#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "host/guidance/text_agreement.h"
#include "tests/host/guidance/text_runs.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

std::vector<std::string> similar_words(std::vector<std::string> more = {}) {
  more.insert(more.begin(), "method=similar");
  return more;
}

Dataset similar_world() {
  return synthetic_dataset(small_world(150, 200));
}

double table_cosine(const std::vector<float>& table, Id a, Id b) {
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t d = 0; d < 16; ++d) {
    const auto x = static_cast<double>(table[static_cast<std::size_t>(a) * 16 + d]),
               y = static_cast<double>(table[static_cast<std::size_t>(b) * 16 + d]);
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  return ab / std::sqrt(aa * bb);
}

/// The mean cosine of items of one topic, and of two.
struct Topics {
  double same = 0, others = 0;
};
Topics cosines_of_topics(const std::vector<float>& table) {
  Topics sum, n;
  for (Id a = 1; a <= 200; ++a) {
    for (Id b = 1; b < a; ++b) {
      const bool same = (a - b) % 10 == 0;  // as synthetic_dataset() deals them out
      (same ? sum.same : sum.others) += table_cosine(table, a, b);
      (same ? n.same : n.others) += 1;
    }
  }
  return {sum.same / n.same, sum.others / n.others};
}

TEST(Similar, ItemsOfOneTopicPointInOneDirection) {
  TextRun none(similar_world(), similar_words({"similar.weight=0"})),
      similar(similar_world(), similar_words({"similar.weight=2"}));
  const double first = told(similar.epoch(), "cosine");
  double last = 0;
  for (int epoch = 1; epoch < 8; ++epoch) last = told(similar.epoch(), "cosine");
  EXPECT_LT(first, 0.5);
  EXPECT_GT(last, 0.9);
  for (int epoch = 0; epoch < 8; ++epoch) none.epoch();
  const Topics with = cosines_of_topics(similar.tensor("embedding.item")),
               without = cosines_of_topics(none.tensor("embedding.item"));
  EXPECT_GT(with.same - with.others, without.same - without.others + 0.2);
}

TEST(Similar, RefusesAsManyNeighboursAsThereAreItems) {
  const auto error = [](const char* neighbours) {
    return error_of([&] { TextRun(similar_world(), similar_words({neighbours})); });
  };
  EXPECT_EQ(error("similar.neighbours=199"), "no error");
  EXPECT_THAT(error("similar.neighbours=200"),
              testing::HasSubstr("similar.neighbours=200, but an item has only 199 others"));
}

TEST(Similar, ReportsWhatItDid) {
  TextRun run(similar_world(), similar_words());
  const EpochReport report = run.epoch();
  EXPECT_EQ(told(report, "pairs"), static_cast<double>(report.rows) / 2) << "one of every positive";
  EXPECT_EQ(told(report, "mean_alpha"), 1);
  EXPECT_NEAR(told(report, "loss"), 1 - told(report, "cosine"), 1e-6);
}

/// A gate that is shut for all leaves the backbone, whose batch has more rows, as it is.
TEST(Similar, ShutGatesPullNothing) {
  TextRun none(similar_world(), similar_words({"similar.weight=0", "data.tail_share=0"})),
      shut(similar_world(), similar_words({"similar.gate=tail", "data.tail_share=0"}));
  TextRun all(similar_world(), similar_words({"data.tail_share=1"})),
      tail(similar_world(), similar_words({"similar.gate=tail", "data.tail_share=1"}));
  none.epoch();
  EXPECT_EQ(told(shut.epoch(), "mean_alpha"), 0);
  EXPECT_EQ(shut.tensor("embedding.item"), none.tensor("embedding.item"));
  EXPECT_EQ(told(all.epoch(), "mean_alpha"), told(tail.epoch(), "mean_alpha"));
  EXPECT_EQ(tail.tensor("embedding.item"), all.tensor("embedding.item"));
  EXPECT_NE(tail.tensor("embedding.item"), none.tensor("embedding.item"));
}

TEST(Similar, ATailGateIsHalfOpenForAPairWithAnItemOfTheHead) {
  TextRun run(similar_world(), similar_words({"similar.gate=tail", "data.tail_share=0.5"}));
  const double alpha = told(run.epoch(), "mean_alpha");
  EXPECT_GT(alpha, 0.05);
  EXPECT_LT(alpha, 0.95);
}

TEST(Similar, KnowsNoHeldOutItem) {
  for (const char* gate : {"similar.gate=none", "similar.gate=agreement"}) {
    TextRun one(similar_world(), similar_words({gate})),
        other(with_other_held_out(similar_world()), similar_words({gate}));
    EXPECT_EQ(to_json(one.epoch()), to_json(other.epoch()));
    EXPECT_EQ(one.tensor("embedding.item"), other.tensor("embedding.item"));
  }
}

/// Lists of k neighbours of items in groups of `group`.
std::vector<Id> neighbours_within(Id items, Id group, std::size_t k) {
  std::vector<Id> nearest(static_cast<std::size_t>(items + 1) * k);
  for (Id item = 1; item <= items; ++item) {
    for (std::size_t j = 0; j < k; ++j) {
      const Id first = (item - 1) / group * group, at = item - 1 - first;
      nearest[static_cast<std::size_t>(item) * k + j] = 1 + first + (at + 1 + static_cast<Id>(j)) % group;
    }
  }
  return nearest;
}

TEST(TextAgreement, IsItsFormulaAndKnowsWhoIsRight) {
  const Dataset data = similar_world();
  const Split split = leave_one_out(data);
  // Items of a topic are 10 apart: neighbours by topic, and by number, which are of no topic.
  constexpr std::size_t kNear = 3;
  const std::vector<Id> by_number = neighbours_within(200, 10, kNear);
  std::vector<Id> by_topic(by_number.size());
  for (Id item = 1; item <= 200; ++item) {
    for (std::size_t j = 0; j < kNear; ++j) {
      by_topic[static_cast<std::size_t>(item) * kNear + j] =
          1 + (item - 1 + 10 * (1 + static_cast<Id>(j))) % 200;
    }
  }
  double mean[2] = {};
  for (const std::vector<Id>* nearest : {static_cast<const std::vector<Id>*>(&by_topic), &by_number}) {
    const std::vector<float> agreement = text_agreement(split, *nearest, kNear);
    std::vector<double> n(201), h(201), p(201);
    for (Id user = 1; user < data.users.rows(); ++user) {
      const auto train = split.train_items(user);
      const std::set<Id> own(train.begin(), train.end());
      for (const Id item : own) {
        n[static_cast<std::size_t>(item)] += 1;
        bool found = false;
        for (std::size_t j = 0; j < kNear; ++j) {
          found = found || own.contains((*nearest)[static_cast<std::size_t>(item) * kNear + j]);
        }
        h[static_cast<std::size_t>(item)] += found ? 1 : 0;
      }
    }
    double above = 0, most = 0;
    for (std::size_t item = 1; item <= 200; ++item) {
      double without = 1;
      for (std::size_t j = 0; j < kNear; ++j) {
        without *= 1 - n[static_cast<std::size_t>((*nearest)[item * kNear + j])] / data.users.count();
      }
      p[item] = 1 - without;
      above += h[item] - n[item] * p[item];
      most += n[item] * (1 - p[item]);
    }
    for (std::size_t item = 1; item <= 200; ++item) {
      const double value = ((h[item] - n[item] * p[item]) / (1 - p[item]) + 5 * above / most) / (n[item] + 5);
      EXPECT_TRUE(near(static_cast<double>(agreement[item]), std::clamp(value, 0.0, 1.0), {1e-6}));
      mean[nearest == &by_topic ? 0 : 1] += static_cast<double>(agreement[item]) / 200;
    }
  }
  EXPECT_GT(mean[0], 0.1);
  EXPECT_LT(mean[1], mean[0] / 3);
}

}  // namespace
}  // namespace sllmr
