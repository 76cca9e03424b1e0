#include "host/scores/report.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "host/ask/candidates.h"
#include "host/data/import.h"
#include "tests/host/ask/toy_data.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

TEST(Wilson, IsTheTextbookInterval) {
  const Proportion share = wilson(0.8, 10);
  EXPECT_NEAR(share.low, 0.4902, 1e-4);
  EXPECT_NEAR(share.high, 0.9433, 1e-4);
  EXPECT_NEAR(wilson(0, 5).low, 0, 1e-12);
  EXPECT_LT(wilson(0, 5).high, 0.5);
  EXPECT_TRUE(std::isnan(wilson(0.5, 0).value));
}

class ReportTest : public testing::Test {
 protected:
  // Training items 1, 2, 3 and 2, 3, 4, 5; then validation and test.
  Dataset data_ = test::make_dataset({{1, 2, 3, 7, 8}, {2, 3, 4, 5, 7, 9}}, 10);
  Split split_ = leave_one_out(data_);
};

TEST_F(ReportTest, AgreementIsCountedByHand) {
  // User 1: probe 3 above one, tied with one, below one: 1.5 of 3.
  const std::vector<LlmScore> scores = {{1, 3, 0.5F, true},  {1, 9, 0.2F, false}, {1, 10, 0.5F, false},
                                        {1, 6, 0.9F, false}, {2, 5, 0.9F, true},  {2, 10, 0.1F, false}};
  const ScoreTable table = make_score_table(data_, scores, "x");
  const ReliabilityMap map = reliability_map(table, split_);
  EXPECT_DOUBLE_EQ(map.all.llm.value, 0.75);
  EXPECT_EQ(map.all.llm.n, 2);
  EXPECT_DOUBLE_EQ(map.cold.llm.value, 0.5);
  EXPECT_DOUBLE_EQ(map.warm.llm.value, 1.0);
  double sum = 0;
  for (const auto& row : map.cells) {
    for (const ReliabilityCell& cell : row) sum += static_cast<double>(cell.llm.n);
  }
  EXPECT_EQ(sum, 2);
  EXPECT_EQ(map.cells[0].size(), map.popularity_labels.size());
  EXPECT_EQ(map.cells.size(), map.history_labels.size());

  const Calibration c = calibration(table);
  EXPECT_DOUBLE_EQ(c.base_rate, 2.0 / 6);
  EXPECT_EQ(c.bins[5].probes.n, 2);
  EXPECT_DOUBLE_EQ(c.bins[5].probes.value, 0.5);
  EXPECT_EQ(c.bins[9].probes.n, 2);
}

TEST_F(ReportTest, LeaksAreFound) {
  const auto audit = [&](const std::vector<LlmScore>& scores) {
    return audit_table(make_score_table(data_, scores, "x"), split_);
  };
  LeakageAudit leaks = audit({{1, 3, 0.5F, true}, {1, 10, 0.2F, false}});
  EXPECT_EQ(leaks.probes_not_in_training + leaks.training_candidates + leaks.held_out_candidates, 0);
  leaks = audit({{1, 8, 0.5F, true}, {1, 2, 0.2F, false}, {1, 7, 0.2F, false}});
  EXPECT_EQ(leaks.probes_not_in_training, 1);
  EXPECT_EQ(leaks.training_candidates, 1);
  EXPECT_EQ(leaks.held_out_candidates, 1);
  EXPECT_FALSE((LeakageAudit{0, 0, 100, 0, 0, 0.0}).too_many());
  EXPECT_FALSE((LeakageAudit{0, 0, 100, 0, 0, 0.0}).too_few());
  EXPECT_FALSE((LeakageAudit{0, 0, 100, 0, 9, 8.0}).too_many());
  EXPECT_TRUE((LeakageAudit{0, 0, 100, 0, 90, 8.0}).too_many());
  EXPECT_TRUE((LeakageAudit{0, 0, 100, 0, 0, 8.0}).too_few());
  EXPECT_FALSE((LeakageAudit{0, 0, 100, 0, 0, 3.0}).too_few());
}

/// Where exp(-expected) is no double any more.
TEST_F(ReportTest, LargeTablesAreJudgedAsSmallOnes) {
  for (const double expected : {746.0, 1e4, 1e6}) {
    const auto audit = [&](double deviations) {
      LeakageAudit found;
      found.held_out_candidates = std::llround(expected + deviations * std::sqrt(expected));
      found.held_out_expected = expected;
      return found;
    };
    for (const double deviations : {-2.5, 0.0, 2.5}) {
      EXPECT_FALSE(audit(deviations).too_few()) << expected;
      EXPECT_FALSE(audit(deviations).too_many()) << expected;
    }
    EXPECT_TRUE(audit(-4).too_few());
    EXPECT_TRUE(audit(4).too_many());
  }
}

TEST_F(ReportTest, WhatAUserWasShownSaysNothingOfChanceForThatUser) {
  const auto audit = [&](const std::vector<LlmScore>& scores) {
    return audit_table(make_score_table(data_, scores, "x"), split_);
  };
  // User 1's only candidate is the test item: of 10 items, each of the two that are held out had one chance
  // in 10.
  LeakageAudit one = audit({{1, 8, 0.5F}});
  EXPECT_EQ(one.held_out_candidates, 1);
  EXPECT_NEAR(one.held_out_expected, 0.2, 1e-12);
  // User 2 got 8 and 10. Of the four items that user 2 has not touched (1, 6, 8, 10) these are two, and two
  // draws of five items are the fifth control: (2 + 2/5) / (4 + 1) for 7 and for 9. Of the five that user 1
  // has not touched none was shown: (0 + 1/6) / (5 + 1) for 7 and for 8.
  one = audit({{1, 8, 0.5F}, {2, 8, 0.5F}, {2, 10, 0.4F}});
  EXPECT_NEAR(one.held_out_expected, 2 * 2.4 / 5 + 2.0 / 36, 1e-12);
  // By others it would be less: (1 + 1/10) / (2 + 1) for item 8, (0 + 1/10) / 3 for item 7, and 7 and 9 of
  // user 2, which nobody else was shown, at two draws of (0 + 2/10) / (1 + 2) each.
  EXPECT_LT((1.1 + 0.1) / 3 + 2 * 2 * 0.2 / 3, one.held_out_expected);
}

/// Users who have touched much of what is popular: what is left of it are their held-out items and few
/// others.
TEST(Report, OwnTablesOfDenseDataAreNoLeak) {
  std::mt19937 random(1);
  constexpr Id kItems = 60;
  std::vector<std::vector<Id>> histories(400);
  for (std::vector<Id>& history : histories) {
    const std::size_t length = random() % 40 + 6;
    while (history.size() < length) {
      const double u = (static_cast<double>(random()) + 1) / 4294967297.0;
      const Id item = 1 + static_cast<Id>(kItems * u * u);  // low ids are popular
      if (std::ranges::find(history, item) == history.end()) history.push_back(item);
    }
  }
  const Dataset data = test::make_dataset(histories, kItems);
  const Split split = leave_one_out(data);
  for (const int candidates : {8, 20, 40}) {
    CandidateOptions options;
    options.per_user = candidates;
    std::vector<LlmScore> scores, leak;
    for (const CandidateSet& set : plan_candidates(split, options)) {
      for (const Id item : set.candidates) {
        scores.push_back({set.user, item, 0.5F, item == set.probe});
        if (item == set.probe) leak.push_back(scores.back());
      }
      leak.push_back({set.user, data.user_history(set.user).back(), 0.5F, false});
    }
    const LeakageAudit own = audit_table(make_score_table(data, scores, "x"), split);
    EXPECT_FALSE(own.too_many()) << leak_text(own);
    EXPECT_TRUE(audit_table(make_score_table(data, leak, "x"), split).too_many());
  }
}

TEST_F(ReportTest, CoverageAndTies) {
  const Coverage c = coverage(
      make_score_table(
          data_, std::vector<LlmScore>{{1, 3, 0.5F, true}, {1, 9, 0.5F, false}, {1, 10, 0.1F, false}}, "x"),
      split_);
  EXPECT_EQ(c.scored_users, 1);
  EXPECT_EQ(c.scored_items, 3);
  EXPECT_EQ(c.at_default, 2);
  EXPECT_NEAR(c.ties, 1.0 / 3, 1e-12);
  EXPECT_EQ(c.median, 3);
}

TEST_F(ReportTest, AnOriginIsKeptAndStaleUsersAreKnown) {
  const TemporaryFolder folder;
  const std::string path = folder / "scores.tsv";
  EXPECT_FALSE(read_origin(path));
  data_.hash = 77;
  const TableOrigin origin{"openai", "m", "scores", "toy", 77, 1000, {{"summary", 1}}};
  write_origin(path, origin);
  const auto back = read_origin(path);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->model, "m");
  EXPECT_EQ(back->data_hash, 77U);

  ScoreTable table = make_score_table(
      data_,
      std::vector<LlmScore>{{1, 3, 0.5F, true}, {1, 9, 0.1F, false}, {2, 4, 0.5F, true}, {2, 9, 0.3F, false}},
      "x");
  Freshness fresh = freshness(table, back, split_, 1000 + 3 * 86400);
  EXPECT_TRUE(fresh.same_data);
  EXPECT_DOUBLE_EQ(fresh.age_days, 3);
  EXPECT_EQ(fresh.scored_users, 2);
  EXPECT_EQ(fresh.stale_users, 1) << "user 2 took item 5 since";
  EXPECT_EQ(freshness_warning(fresh), "");
  data_.hash = 78;
  fresh = freshness(table, back, split_, 1000);
  EXPECT_THAT(freshness_warning(fresh), HasSubstr("1 of 2"));
  EXPECT_EQ(thin_stale_users(table, split_, 1, 1), 0);
  EXPECT_EQ(thin_stale_users(table, split_, 0, 1), 1);
  EXPECT_EQ(table.scored_users(), 1);
  EXPECT_NE(error_of([&] { thin_stale_users(table, split_, 2, 1); }), "no error");
}

TEST(Report, TheFrontierModelsTableGivesTheMeasuredAgreement) {
  const std::string shared = std::string(SLLMR_SOURCE_DIR) + "/../shared/data/";
  if (!std::filesystem::exists(shared + "llm/toys.scores")) GTEST_SKIP() << "shared data are not here";
  const Dataset data = load_dataset(shared + "amazon/toys");
  const Split split = leave_one_out(data);
  const nlohmann::json result =
      report(read_scores(shared + "llm/toys.scores", split), split, std::nullopt, 0);
  // As the table's own notes say: .772 and .793.
  EXPECT_NEAR(result["reliability"]["cold"]["value"].get<double>(), 0.772, 6e-4);
  EXPECT_NEAR(result["reliability"]["warm"]["value"].get<double>(), 0.793, 6e-4);
  EXPECT_EQ(result["leakage"]["held_out_items_among_candidates"], 0);
  EXPECT_TRUE(result["leakage"]["too_few_held_out"].get<bool>());
  EXPECT_EQ(result["coverage"]["scored_users"], 3000);
  EXPECT_EQ(result["freshness"]["stale_users"], 0);
  EXPECT_GT(result["calibration"]["rank_correlation"].get<double>(), 0.9);
}

}  // namespace
}  // namespace sllmr
