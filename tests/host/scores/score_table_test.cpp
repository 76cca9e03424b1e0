#include "host/scores/score_table.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/host/ask/toy_data.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using test::make_dataset;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Training items of u1: 1 2 3 (validation 4, test 5); of u2, who is warm with cold_history = 4: 1 1 2 6.
class ScoreTableTest : public testing::Test {
 protected:
  Dataset data_ = make_dataset({{1, 2, 3, 4, 5}, {1, 1, 2, 6, 3, 4}, {7, 8}}, 9);
  Split split_ = leave_one_out(data_);

  std::string build_error(const std::vector<LlmScore>& scores) const {
    return error_of([&] { make_score_table(data_, scores, "test"); });
  }
};

TEST_F(ScoreTableTest, SortsEachUserByFallingScoreThenItem) {
  const ScoreTable table = make_score_table(
      data_, std::vector<LlmScore>{{2, 9, 0.5F}, {1, 8, 0.25F}, {2, 4, 0.5F}, {2, 1, 0.75F}, {1, 7, 1.0F}},
      "test");
  EXPECT_THAT(table.offsets, ElementsAre(0, 0, 2, 5, 5));
  EXPECT_THAT(table.items_of(1), ElementsAre(7, 8));
  EXPECT_THAT(table.items_of(2), ElementsAre(1, 4, 9));
  EXPECT_THAT(table.scores_of(2), ElementsAre(0.75F, 0.5F, 0.5F));
  EXPECT_THAT(table.items_of(3), IsEmpty());
  EXPECT_EQ(table.scored_users(), 2);
  EXPECT_EQ(table.size(), 5);
  EXPECT_EQ(table.scorer, "test");
}

TEST_F(ScoreTableTest, ProbeIndexFollowsTheSortedOrder) {
  const ScoreTable table =
      make_score_table(data_, std::vector<LlmScore>{{1, 3, 0.1F, true}, {1, 8, 0.2F}, {1, 9, 0.3F}}, "test");
  EXPECT_THAT(table.probe, ElementsAre(-1, 2, -1, -1));
}

TEST_F(ScoreTableTest, AProbeIsComparedWhereThereIsAnotherEntry) {
  const ScoreTable table = make_score_table(
      data_,
      std::vector<LlmScore>{{1, 3, 0.1F, true}, {1, 8, 0.2F}, {2, 6, 0.5F, true}, {3, 7, 1}, {3, 9, 0}},
      "test");
  EXPECT_EQ(table.compared_probe(1), 1U);
  EXPECT_EQ(table.compared_probe(2), std::nullopt) << "it is alone";
  EXPECT_EQ(table.compared_probe(3), std::nullopt) << "there is none";
}

TEST_F(ScoreTableTest, RefusesScoresOutsideTheUnitInterval) {
  for (const float score : {-0.001F, 1.001F, kNan, kInfinity}) {
    EXPECT_THAT(build_error({{1, 8, score}}), HasSubstr("is not in [0, 1]; normalise")) << score;
  }
  EXPECT_EQ(build_error({{1, 8, 0.0F}, {1, 9, 1.0F}}), "no error");
}

TEST_F(ScoreTableTest, RefusesVariancesOutsideTheUnitInterval) {
  for (const float variance : {-0.001F, 1.001F, kNan, kInfinity}) {
    EXPECT_THAT(build_error({{1, 8, 0.5F, false, variance}}), HasSubstr("variance")) << variance;
  }
  EXPECT_EQ(build_error({{1, 8, 0.5F, false, 1.0F}}), "no error");
}

TEST_F(ScoreTableTest, StatsTellOfVariances) {
  const ScoreStats stats = score_stats(
      make_score_table(data_, std::vector<LlmScore>{{1, 8, 0.5F, false, 0.25F}, {1, 9, 0.5F}}, "x"), split_);
  EXPECT_DOUBLE_EQ(stats.variance, 0.125);
  EXPECT_EQ(stats.highest_variance, 0.25F);
  EXPECT_EQ(score_stats(make_score_table(data_, std::vector<LlmScore>{{1, 8, 0.5F}}, "x"), split_).variance,
            0);
}

TEST_F(ScoreTableTest, RefusesIdsOutsideTheData) {
  EXPECT_THAT(build_error({{0, 1, 0.5F}}), HasSubstr("not an id of the data"));
  EXPECT_THAT(build_error({{4, 1, 0.5F}}), HasSubstr("not an id of the data"));
  EXPECT_THAT(build_error({{1, 10, 0.5F}}), HasSubstr("not an id of the data"));
}

TEST_F(ScoreTableTest, RefusesASecondScoreOfAPairEvenIfItIsTheSame) {
  EXPECT_THAT(build_error({{1, 8, 0.5F}, {1, 9, 0.1F}, {1, 8, 0.5F}}),
              AllOf(HasSubstr("score 2: "), HasSubstr("second score for item i8")));
  EXPECT_EQ(build_error({{1, 8, 0.5F}, {2, 8, 0.5F}}), "no error");
}

TEST_F(ScoreTableTest, RefusesTwoProbesOfAUserAndNamesTheLater) {
  EXPECT_THAT(build_error({{1, 3, 0.1F, true}, {1, 8, 0.5F}, {1, 2, 0.9F, true}}),
              AllOf(HasSubstr("score 2: "), HasSubstr("user u1 has a second probe")));
}

TEST_F(ScoreTableTest, MarkProbesTakesTheLastTrainingItemOnly) {
  ScoreTable table = make_score_table(
      data_,
      std::vector<LlmScore>{
          {1, 5, 0.9F}, {1, 3, 0.5F}, {1, 2, 0.1F}, {2, 6, 0.2F}, {2, 4, 0.1F}, {3, 9, 0.5F}},
      "test");
  mark_probes(table, split_);
  EXPECT_THAT(table.probe, ElementsAre(-1, 1, 0, -1));
}

TEST_F(ScoreTableTest, MarkProbesLeavesATableThatNamesItsProbes) {
  ScoreTable table =
      make_score_table(data_, std::vector<LlmScore>{{1, 3, 0.5F}, {2, 1, 0.5F, true}, {2, 6, 0.4F}}, "test");
  mark_probes(table, split_);
  EXPECT_THAT(table.probe, ElementsAre(-1, -1, 0, -1));
}

TEST_F(ScoreTableTest, MarkProbesSkipsAUserWhosePromptWouldHaveNoHistory) {
  const Dataset data = make_dataset({{1}, {1, 2}}, 3);
  ScoreTable table = make_score_table(data, std::vector<LlmScore>{{1, 1, 0.5F}, {2, 2, 0.5F}}, "test");
  mark_probes(table, leave_one_out(data));
  EXPECT_THAT(table.probe, ElementsAre(-1, -1, 0));
}

TEST_F(ScoreTableTest, CheckProbesRefusesValidationAndTestItems) {
  const auto check = [&](const LlmScore& score) {
    const ScoreTable table = make_score_table(data_, std::vector<LlmScore>{score}, "lexical");
    return error_of([&] { check_probes(table, split_); });
  };
  EXPECT_THAT(check({1, 5, 0.5F, true}),
              AllOf(HasSubstr("lexical"), HasSubstr("probe i5 of user u1 is held out")));
  EXPECT_THAT(check({1, 4, 0.5F, true}), HasSubstr("held out"));
  EXPECT_THAT(check({1, 9, 0.5F, true}), HasSubstr("not one of the user's training items"));
  EXPECT_EQ(check({1, 3, 0.5F, true}), "no error");
  EXPECT_EQ(check({1, 5, 0.5F, false}), "no error")
      << "a strict pipeline may score a test item as a candidate";
}

TEST_F(ScoreTableTest, CheckProbesRefusesATableOfOtherData) {
  const Dataset other = make_dataset({{1, 2, 3}}, 9);
  const ScoreTable table = make_score_table(other, {}, "test");
  EXPECT_THAT(error_of([&] { check_probes(table, split_); }), HasSubstr("other data"));
}

TEST_F(ScoreTableTest, AgreementCountsTheShareBelowTheProbeWithTiesHalf) {
  // u1 (cold): one of three below, one tied: 1/2. u2 (warm): above all: 1. u3 (cold): alone, does not count.
  const ScoreTable table = make_score_table(data_,
                                            std::vector<LlmScore>{{1, 3, 0.5F, true},
                                                                  {1, 7, 0.5F},
                                                                  {1, 8, 0.1F},
                                                                  {1, 9, 0.9F},
                                                                  {2, 6, 0.8F, true},
                                                                  {2, 9, 0.7F},
                                                                  {3, 8, 0.2F, true}},
                                            "test");
  const ScoreStats stats = score_stats(table, split_);
  EXPECT_DOUBLE_EQ(stats.agreement_cold, 0.5);
  EXPECT_DOUBLE_EQ(stats.agreement_warm, 1.0);
  EXPECT_DOUBLE_EQ(stats.agreement, 0.75);
  EXPECT_EQ(stats.pairs, 7);
  EXPECT_EQ(stats.users, 3);
  EXPECT_EQ(stats.cold_users, 2);
  EXPECT_EQ(stats.probes, 3);
  EXPECT_EQ(stats.lowest, 0.1F);
  EXPECT_EQ(stats.highest, 0.9F);
}

TEST_F(ScoreTableTest, AgreementWithoutProbesIsNotANumber) {
  const ScoreTable table = make_score_table(data_, std::vector<LlmScore>{{1, 8, 0.5F}, {1, 9, 0.1F}}, "test");
  EXPECT_TRUE(std::isnan(score_stats(table, split_).agreement));
}

}  // namespace
}  // namespace sllmr
