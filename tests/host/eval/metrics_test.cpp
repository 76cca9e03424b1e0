#include "host/eval/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/support/compare.h"

namespace sllmr {
namespace {

TEST(Metrics, RankingAucByHand) {
  EXPECT_DOUBLE_EQ(ranking_auc(0, 0, 10), 1.0);
  EXPECT_DOUBLE_EQ(ranking_auc(10, 0, 10), 0.0);
  EXPECT_DOUBLE_EQ(ranking_auc(0, 10, 10), 0.5);
  EXPECT_DOUBLE_EQ(ranking_auc(2, 4, 10), 0.6);
}

TEST(Metrics, RecallAndNdcgByHand) {
  EXPECT_DOUBLE_EQ(expected_recall(0, 0, 1), 1.0);
  EXPECT_DOUBLE_EQ(expected_recall(9, 0, 10), 1.0);
  EXPECT_DOUBLE_EQ(expected_recall(10, 0, 10), 0.0);
  EXPECT_DOUBLE_EQ(expected_recall(8, 3, 10), 0.5);  // ranks 9 to 12, two of them within 10
  EXPECT_DOUBLE_EQ(expected_recall(50, 100, 10), 0.0);
  EXPECT_DOUBLE_EQ(expected_recall(0, 99, 10), 0.1);
  EXPECT_DOUBLE_EQ(expected_ndcg(0, 0, 10), 1.0);
  EXPECT_DOUBLE_EQ(expected_ndcg(2, 0, 10), 0.5);
  EXPECT_DOUBLE_EQ(expected_ndcg(10, 0, 10), 0.0);
  EXPECT_NEAR(expected_ndcg(0, 1, 10), (1 + 1 / std::log2(3.0)) / 2, 1e-15);
  EXPECT_NEAR(expected_ndcg(9, 1, 10), 1 / std::log2(11.0) / 2, 1e-15);
}

TEST(Metrics, TiesAreExpectationsOverAllOrders) {
  // Five items level: the positive is each of the ranks above + 1 .. above + 5 equally often.
  const std::int64_t above = 3, ties = 4;
  for (const int k : {1, 3, 4, 5, 8, 9, 20}) {
    double recall = 0, ndcg = 0;
    for (std::int64_t rank = above + 1; rank <= above + ties + 1; ++rank) {
      if (rank > k) continue;
      recall += 1;
      ndcg += std::log(2.0) / std::log(static_cast<double>(rank + 1));
    }
    EXPECT_NEAR(expected_recall(above, ties, k), recall / (ties + 1), 1e-12) << k;
    EXPECT_NEAR(expected_ndcg(above, ties, k), ndcg / (ties + 1), 1e-12) << k;
  }
}

TEST(Metrics, ReciprocalRanksAreExactForAnyNumberOfTies) {
  for (const std::int64_t above : {0, 1, 90, 127, 128, 129, 5000}) {
    for (const std::int64_t ties : {0, 1, 127, 128, 129, 300, 100000}) {
      for (const std::int64_t k :
           {std::int64_t{1}, above, above + 1, above + 64, above + ties + 1, std::int64_t{1} << 40}) {
        long double sum = 0;
        for (std::int64_t rank = std::min(above + ties + 1, k); rank > above; --rank) sum += 1.0L / rank;
        const auto expected = static_cast<double>(sum / (ties + 1));
        EXPECT_NEAR(expected_reciprocal_rank(above, ties, k), expected, 1e-14 * expected + 1e-300)
            << above << " above, " << ties << " ties, k " << k;
      }
    }
  }
}

TEST(Metrics, PooledAucEqualsAllPairs) {
  std::mt19937 engine(5);
  for (const int values : {2, 7, 1000000}) {  // from nearly all tied to none tied
    std::vector<float> logits(301), labels(301);
    for (std::size_t k = 0; k < logits.size(); ++k) {
      labels[k] = engine() % 3 == 0 ? 1.0F : 0.0F;
      logits[k] = static_cast<float>(engine() % static_cast<unsigned>(values)) + (labels[k] > 0 ? 0.7F : 0);
      logits[k] = std::floor(logits[k]) - 3;
    }
    double won = 0, pairs = 0;
    for (std::size_t p = 0; p < logits.size(); ++p) {
      for (std::size_t n = 0; n < logits.size(); ++n) {
        if (labels[p] < 0.5F || labels[n] > 0.5F) continue;
        ++pairs;
        won += logits[p] > logits[n] ? 1.0 : logits[p] == logits[n] ? 0.5 : 0.0;
      }
    }
    const std::vector<std::int32_t> order = ascending_order(logits);
    EXPECT_NEAR(*roc_auc(order, logits, labels), won / pairs, 1e-14) << values;
  }
}

TEST(Metrics, OneClassHasNoAuc) {
  const std::vector<float> logits{1, 2}, ones{1, 1}, zeros{0, 0}, both{0, 1};
  const std::vector<std::int32_t> order = ascending_order(logits);
  EXPECT_FALSE(roc_auc(order, logits, ones).has_value());
  EXPECT_FALSE(roc_auc(order, logits, zeros).has_value());
  EXPECT_FALSE(roc_auc({}, logits, both).has_value());
  EXPECT_EQ(roc_auc(order, logits, both), 1.0);
  EXPECT_FALSE(log_loss({}, logits, both).has_value());
}

TEST(Metrics, AscendingOrderSorts) {
  const std::vector<float> logits{3, -1, 2, -1, 0};
  std::vector<float> sorted;
  for (const std::int32_t k : ascending_order(logits)) sorted.push_back(logits[static_cast<std::size_t>(k)]);
  EXPECT_EQ(sorted, (std::vector<float>{-1, -1, 0, 2, 3}));
}

TEST(Metrics, LogLossIsStable) {
  const std::vector<std::int32_t> order{0, 1};
  const std::vector<float> labels{1, 0};
  EXPECT_NEAR(*log_loss(order, std::vector<float>{0, 0}, labels), std::log(2.0), 1e-15);
  EXPECT_NEAR(*log_loss(order, std::vector<float>{1, 2}, labels),
              (std::log(1 + std::exp(-1.0)) + std::log(1 + std::exp(2.0))) / 2, 1e-14);
  EXPECT_NEAR(*log_loss(order, std::vector<float>{-1000, 0}, labels), (1000 + std::log(2.0)) / 2, 1e-9);
  EXPECT_NEAR(*log_loss(order, std::vector<float>{1000, -1000}, labels), 0.0, 1e-15);
  EXPECT_EQ(*log_loss(order, std::vector<float>{kInfinity, -kInfinity}, labels), 0.0);
  EXPECT_EQ(*log_loss(order, std::vector<float>{0, kInfinity}, labels), double{kInfinity});
  EXPECT_TRUE(std::isnan(*log_loss(order, std::vector<float>{kNan, 0}, labels)));
}

}  // namespace
}  // namespace sllmr
