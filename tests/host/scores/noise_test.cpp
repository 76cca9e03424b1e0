#include "host/scores/noise.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/exec/random.h"
#include "tests/host/ask/toy_data.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using test::make_dataset;
using testing::Each;
using testing::HasSubstr;

// 200 users of 8 training items over 50 items, so that shares can be counted; the even users are cold.
class NoiseTest : public testing::Test {
 protected:
  NoiseTest() {
    std::vector<LlmScore> scores;
    for (Id user = 1; user < data_.users.rows(); ++user) {
      split_.cold[user] = user % 2 == 0;
      for (Id item = 1; item <= kItems; ++item)
        scores.push_back({user, item, kScore, item == 1 + user % kItems});
    }
    for (Id item = 1; item <= kItems; ++item) split_.tail[item] = item % 5 == 0;
    table_ = make_score_table(data_, scores, "test");
  }

  ScoreTable corrupted(double share, NoiseSlice slice, std::uint64_t seed = 7) const {
    ScoreTable table = table_;
    add_noise(table, split_, {share, slice}, seed);
    return table;
  }

  /// Share of changed scores among the entries that `selected(user, item)` picks.
  template <class Selected>
  double changed(const ScoreTable& table, Selected selected) const {
    double total = 0, count = 0;
    for (Id user = 1; user < data_.users.rows(); ++user) {
      for (std::size_t k = 0; k < table.items_of(user).size(); ++k) {
        if (!selected(user, table.items_of(user)[k])) continue;
        ++total;
        count += table.scores_of(user)[k] != kScore;
      }
    }
    return count / total;
  }

  static constexpr Id kItems = 50;
  static constexpr float kScore = 2.0F / 3.0F;  // not a multiple of 2^-24, so no random score equals it
  static std::vector<std::vector<Id>> histories() {
    std::vector<std::vector<Id>> all;
    for (Id u = 0; u < 200; ++u) all.push_back({1 + u % kItems, 1 + (u + 1) % kItems});
    return all;
  }
  Dataset data_ = make_dataset(histories(), kItems);
  Split split_ = leave_one_out(data_);
  ScoreTable table_;
};

TEST_F(NoiseTest, ReplacesTheGivenShareOfEntries) {
  const auto all = [](Id, Id) { return true; };
  EXPECT_EQ(changed(corrupted(0.0, NoiseSlice::all), all), 0.0);
  EXPECT_EQ(changed(corrupted(1.0, NoiseSlice::all), all), 1.0);
  // 10000 draws: four standard deviations are 0.018.
  EXPECT_NEAR(changed(corrupted(0.3, NoiseSlice::all), all), 0.3, 0.018);
}

TEST_F(NoiseTest, TouchesItsSliceOnly) {
  const auto cold = [&](Id user, Id) { return split_.cold[user] != 0; };
  const auto warm = [&](Id user, Id) { return split_.cold[user] == 0; };
  const auto tail = [&](Id, Id item) { return split_.tail[item] != 0; };
  const auto head = [&](Id, Id item) { return split_.tail[item] == 0; };
  EXPECT_EQ(changed(corrupted(1.0, NoiseSlice::warm), cold), 0.0);
  EXPECT_EQ(changed(corrupted(1.0, NoiseSlice::warm), warm), 1.0);
  EXPECT_EQ(changed(corrupted(1.0, NoiseSlice::head), tail), 0.0);
  EXPECT_EQ(changed(corrupted(1.0, NoiseSlice::head), head), 1.0);
}

TEST_F(NoiseTest, SortsAgainAndKeepsTheProbeOnItsItem) {
  const ScoreTable table = corrupted(0.5, NoiseSlice::all);
  for (Id user = 1; user < data_.users.rows(); ++user) {
    const auto scores = table.scores_of(user);
    EXPECT_TRUE(std::is_sorted(scores.begin(), scores.end(), std::greater<>()));
    EXPECT_EQ(table.items_of(user)[table.probe[user]], 1 + user % kItems);
  }
}

TEST_F(NoiseTest, NoiseIsUniformWhateverTheShare) {
  for (const double share : {0.3, 1.0}) {
    double sum = 0, squares = 0, n = 0;
    for (const float score : corrupted(share, NoiseSlice::all).scores) {
      if (score == kScore) continue;
      sum += score;
      squares += static_cast<double>(score) * score;
      ++n;
    }
    // Four standard deviations of a mean of 3000 draws: 0.021 and 0.022.
    EXPECT_NEAR(sum / n, 1.0 / 2, 0.022) << share;
    EXPECT_NEAR(squares / n, 1.0 / 3, 0.023) << share;
  }
}

TEST_F(NoiseTest, FullNoiseKnowsNothingOfTheProbe) {
  EXPECT_NEAR(score_stats(corrupted(1.0, NoiseSlice::all), split_).agreement, 0.5, 0.09);
}

TEST_F(NoiseTest, DependsOnSeedAndPairOnly) {
  EXPECT_EQ(corrupted(0.5, NoiseSlice::all).scores, corrupted(0.5, NoiseSlice::all).scores);
  EXPECT_NE(corrupted(0.5, NoiseSlice::all).scores, corrupted(0.5, NoiseSlice::all, 8).scores);
  // The slice only masks: a warm user's scores are those of the noise on all.
  const ScoreTable all = corrupted(0.5, NoiseSlice::all), warm = corrupted(0.5, NoiseSlice::warm);
  EXPECT_THAT(warm.scores_of(1), testing::ElementsAreArray(all.scores_of(1)));
  EXPECT_THAT(warm.scores_of(2), Each(kScore));
}

TEST_F(NoiseTest, RefusesSharesOutsideTheUnitInterval) {
  for (const double share : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THAT(error_of([&] { corrupted(share, NoiseSlice::all); }), HasSubstr("is not in [0, 1]")) << share;
  }
}

// A table of many scores, over items of many popularities.
class NoiseKindTest : public NoiseTest {
 protected:
  NoiseKindTest() {
    std::vector<LlmScore> scores;
    for (Id user = 1; user < data_.users.rows(); ++user) {
      for (Id item = 1; item <= kItems; ++item) {
        const Draw draw =
            philox(3, static_cast<std::uint32_t>(user), static_cast<std::uint64_t>(item), Purpose::negative);
        const float score = uniform(draw.word[0]);
        scores.push_back({user, item, score * score * score, item == 1 + user % kItems});  // mean 1/4
      }
    }
    table_ = make_score_table(data_, scores, "test");
    // The least popular fifth is the tail; items 21 and 22 are equally popular.
    for (Id item = 1; item <= kItems; ++item) {
      split_.popularity[item] = item == 22 ? 21 : item;
      split_.tail[item] = item <= kTail;
    }
  }

  ScoreTable noisy(const Noise& noise, std::uint64_t seed = 7) const {
    ScoreTable table = table_;
    add_noise(table, split_, noise, seed);
    return table;
  }

  /// By user and item.
  static std::vector<float> by_pair(const ScoreTable& table) {
    std::vector<float> scores(table.probe.size() * (kItems + 1), kNan);
    for (const LlmScore& entry : entries_of(table)) scores[at(entry.user, entry.item)] = entry.score;
    return scores;
  }
  static std::size_t at(Id user, Id item) { return static_cast<std::size_t>(user * (kItems + 1) + item); }

  double mean_of(Id user) const {
    const auto scores = table_.scores_of(user);
    return std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
  }

  static constexpr Id kTail = 10;
};

TEST_F(NoiseKindTest, EveryKindReplacesTheSameEntriesAndLeavesTheOthersBitwise) {
  const auto before = by_pair(table_);
  const auto uniform_scores = by_pair(noisy({0.3, NoiseSlice::head, NoiseKind::uniform}));
  for (const NoiseKindInfo& kind : kNoiseKinds) {
    const ScoreTable table = noisy({0.3, NoiseSlice::head, kind.kind});
    const auto after = by_pair(table);
    std::int64_t replaced = 0;
    for (Id user = 1; user < data_.users.rows(); ++user) {
      EXPECT_EQ(table.items_of(user)[table.probe[user]], 1 + user % kItems) << kind.name;
      for (Id item = 1; item <= kItems; ++item) {
        const std::size_t k = at(user, item);
        const bool drawn = uniform_scores[k] != before[k];
        ASSERT_EQ(after[k] != before[k], drawn) << kind.name << " " << user << " " << item;
        ASSERT_TRUE(after[k] >= 0 && after[k] <= 1) << kind.name;
        ASSERT_FALSE(drawn && item <= kTail);
        replaced += drawn;
      }
    }
    EXPECT_NEAR(static_cast<double>(replaced) / (200 * (kItems - kTail)), 0.3, 0.021) << kind.name;
    EXPECT_EQ(noisy({0.0, NoiseSlice::all, kind.kind}).scores, table_.scores) << kind.name;
  }
}

TEST_F(NoiseKindTest, KindsAreSeeded) {
  for (const NoiseKindInfo& kind : kNoiseKinds) {
    const Noise noise{0.5, NoiseSlice::all, kind.kind};
    EXPECT_EQ(noisy(noise).scores, noisy(noise).scores) << kind.name;
    EXPECT_NE(noisy(noise).scores, noisy(noise, 8).scores) << kind.name;
  }
}

TEST_F(NoiseKindTest, PopularIsNoiseThatPutsTheHeadAboveTheTail) {
  const auto scores = by_pair(noisy({1.0, NoiseSlice::all, NoiseKind::popular}));
  double head = 0, tail = 0;
  int swapped = 0;
  for (Id user = 1; user < data_.users.rows(); ++user) {
    for (Id item = 1; item <= kItems; ++item) {
      const float score = scores[at(user, item)];
      ASSERT_EQ(score >= 0.5F, item > kTail) << item;
      (item > kTail ? head : tail) += static_cast<double>(score);
    }
    swapped += scores[at(user, kItems)] < scores[at(user, kTail + 1)] ? 1 : 0;
  }
  const double users = data_.users.rows() - 1;
  EXPECT_NEAR(head / (users * (kItems - kTail)), 0.75, 0.02);
  EXPECT_NEAR(tail / (users * kTail), 0.25, 0.02);
  EXPECT_NEAR(swapped / users, 0.5, 0.12) << "within a class popularity says nothing";
}

TEST_F(NoiseKindTest, RankedRisesWithPopularityAndPutsTheHeadAboveTheTail) {
  const auto scores = by_pair(noisy({1.0, NoiseSlice::all, NoiseKind::ranked}));
  for (Id user = 1; user < data_.users.rows(); ++user) {
    for (Id item = 1; item <= kItems; ++item) {
      const float score = scores[at(user, item)];
      // Rank within the class, of which a fifth is luck.
      const bool tail = item <= kTail;
      double rank = tail ? (item - 0.5) / kTail : (item - kTail - 0.5) / (kItems - kTail);
      if (item == 21 || item == 22) rank = 11.0 / (kItems - kTail);
      const double least = (tail ? 0.0 : 0.5) + 0.4 * rank;
      ASSERT_GE(score, least - 1e-6) << item;
      ASSERT_LT(score, least + 0.1 + 1e-6) << item;
      ASSERT_EQ(score >= 0.5F, !tail) << item;
    }
  }
  // Not the order of popularity itself.
  int swapped = 0;
  for (Id user = 1; user < data_.users.rows(); ++user) swapped += scores[at(user, 31)] < scores[at(user, 30)];
  EXPECT_GT(swapped, 20);
  EXPECT_LT(swapped, 100);
}

TEST_F(NoiseKindTest, PopularInTheHeadLeavesTheTailsJudgement) {
  const auto before = by_pair(table_), after = by_pair(noisy({1.0, NoiseSlice::head, NoiseKind::popular}));
  for (Id user = 1; user < data_.users.rows(); ++user) {
    for (Id item = 1; item <= kItems; ++item) {
      if (item <= kTail) {
        ASSERT_EQ(after[at(user, item)], before[at(user, item)]);
      } else {
        ASSERT_GE(after[at(user, item)], 0.5F);
      }
    }
  }
}

TEST_F(NoiseKindTest, FlippedReversesTheOrderAboutTheMean) {
  const ScoreTable table = noisy({1.0, NoiseSlice::all, NoiseKind::flipped});
  const auto before = by_pair(table_), after = by_pair(table);
  for (Id user = 1; user < data_.users.rows(); ++user) {
    const double mean = mean_of(user), most = static_cast<double>(table_.scores_of(user).front());
    const double c = std::min(1.0, mean / (most - mean));  // means are below 1/2: the lower end binds
    for (Id item = 1; item <= kItems; ++item) {
      const double old = static_cast<double>(before[at(user, item)]);
      ASSERT_NEAR(after[at(user, item)], mean - c * (old - mean), 1e-6);
    }
    float last = 0;
    for (const Id item : table_.items_of(user)) {  // from the highest score down
      ASSERT_GE(after[at(user, item)], last) << user;
      last = after[at(user, item)];
    }
  }
  EXPECT_NEAR(score_stats(table, split_).agreement, 1 - score_stats(table_, split_).agreement, 1e-3);
}

TEST_F(NoiseKindTest, FlippedKeepsTheSpreadWhereThereIsRoomAndScoresInRangeAtBothEnds) {
  // Mean and extremes by hand: room for all, too little above, and all equal.
  EXPECT_DOUBLE_EQ(flipped_noise({0.75F, false, 0.5, 0.5, 0.25, 0.75, 0.0F}), 0.25);
  EXPECT_DOUBLE_EQ(flipped_noise({0.0F, false, 0.5, 0.75, 0.0, 1.0, 0.0F}), 1.0);
  EXPECT_NEAR(flipped_noise({1.0F, false, 0.5, 0.75, 0.0, 1.0, 0.0F}), 0.75 - 0.25 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(flipped_noise({1.0F, false, 0.5, 1.0, 1.0, 1.0, 0.0F}), 1.0);
}

TEST_F(NoiseKindTest, FlatKnowsNothing) {
  const ScoreTable table = noisy({1.0, NoiseSlice::all, NoiseKind::flat});
  for (Id user = 1; user < data_.users.rows(); ++user) {
    EXPECT_THAT(table.scores_of(user), Each(testing::FloatNear(static_cast<float>(mean_of(user)), 1e-6F)));
    EXPECT_THAT(table.scores_of(user), Each(table.scores_of(user)[0]));
  }
  EXPECT_EQ(score_stats(table, split_).agreement, 0.5);
}

TEST_F(NoiseKindTest, VariancesStayWithTheirEntries) {
  std::vector<LlmScore> entries = entries_of(table_);
  for (LlmScore& entry : entries) entry.variance = static_cast<float>(entry.item) / 64;
  table_ = make_score_table(data_, entries, "test");
  for (const NoiseKindInfo& kind : kNoiseKinds) {
    for (const LlmScore& entry : entries_of(noisy({0.5, NoiseSlice::all, kind.kind}))) {
      ASSERT_EQ(entry.variance, static_cast<float>(entry.item) / 64) << kind.name;
    }
  }
}

TEST(NoiseLists, AreInTheOrderOfTheirEnumerations) {
  for (std::size_t k = 0; k < std::size(kNoiseKinds); ++k) {
    EXPECT_EQ(static_cast<std::size_t>(kNoiseKinds[k].kind), k);
  }
  for (std::size_t k = 0; k < std::size(kNoiseSlices); ++k) {
    EXPECT_EQ(static_cast<std::size_t>(kNoiseSlices[k].slice), k);
  }
}

}  // namespace
}  // namespace sllmr
