#include "host/scores/pair_index.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <tuple>

#include "kernels/exec/random.h"
#include "tests/host/ask/toy_data.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using test::make_dataset;
using testing::ElementsAre;
using testing::HasSubstr;

/// One user a list of scores, which must fall.
ScoreTable table_of(const std::vector<std::vector<float>>& lists) {
  std::size_t longest = 0;
  for (const auto& list : lists) longest = std::max(longest, list.size());
  const Dataset data = make_dataset(std::vector<std::vector<Id>>(lists.size()), static_cast<Id>(longest));
  std::vector<LlmScore> scores;
  for (std::size_t u = 0; u < lists.size(); ++u) {
    for (std::size_t k = 0; k < lists[u].size(); ++k) {
      scores.push_back({static_cast<Id>(u + 1), static_cast<Id>(k + 1), lists[u][k]});
    }
  }
  return make_score_table(data, scores, "test");
}

/// All pairs in the documented order, cut to `wanted`.
std::vector<std::tuple<std::uint16_t, std::uint16_t>> naive_pairs(std::span<const float> scores,
                                                                  std::size_t wanted) {
  std::vector<std::tuple<float, std::uint16_t, std::uint16_t>> all;
  for (std::size_t a = 0; a < scores.size(); ++a) {
    for (std::size_t b = a + 1; b < scores.size(); ++b) {
      if (scores[a] > scores[b]) {
        all.emplace_back(scores[b] - scores[a], static_cast<std::uint16_t>(a), static_cast<std::uint16_t>(b));
      }
    }
  }
  std::sort(all.begin(), all.end());
  all.resize(std::min(all.size(), wanted));
  std::vector<std::tuple<std::uint16_t, std::uint16_t>> pairs;
  for (const auto& [difference, a, b] : all) pairs.emplace_back(a, b);
  return pairs;
}

TEST(LargestPairs, AreOrderedByDifference) {
  const PairIndex pairs = largest_pairs(table_of({{1.0F, 0.75F, 0.25F, 0.125F}}), 4);
  EXPECT_THAT(pairs.offsets, ElementsAre(0, 0, 4));
  EXPECT_THAT(pairs.first, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(pairs.second, ElementsAre(3, 2, 3, 2));
}

TEST(LargestPairs, TiesGoByFirstThenSecond) {
  const PairIndex pairs = largest_pairs(table_of({{1.0F, 1.0F, 0.5F, 0.5F}}), 10);
  EXPECT_THAT(pairs.first, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(pairs.second, ElementsAre(2, 3, 2, 3));
}

TEST(LargestPairs, EqualScoresMakeNoPair) {
  const PairIndex pairs = largest_pairs(table_of({{0.5F, 0.5F, 0.5F}, {}, {0.5F}, {0.5F, 0.25F}}), 10);
  EXPECT_THAT(pairs.offsets, ElementsAre(0, 0, 0, 0, 0, 1));
  EXPECT_THAT(pairs.first, ElementsAre(0));
  EXPECT_THAT(pairs.second, ElementsAre(1));
}

TEST(LargestPairs, MatchSortingAllPairs) {
  // Coarse scores tie often, fine ones hardly ever.
  for (const std::uint32_t levels : {3U, 10U, 1U << 20}) {
    std::vector<std::vector<float>> lists;
    for (std::uint64_t user = 0; user < 40; ++user) {
      std::vector<float> list(user);
      for (std::size_t k = 0; k < list.size(); ++k) {
        const Draw draw = philox(levels, static_cast<std::uint32_t>(k), user, Purpose::noise);
        list[k] = static_cast<float>(below(draw.word[0], levels)) / static_cast<float>(levels);
      }
      lists.push_back(list);
    }
    const ScoreTable table = table_of(lists);
    for (const int per_user : {1, 7, 64, 2000}) {
      const PairIndex pairs = largest_pairs(table, per_user);
      for (Id user = 1; user <= 40; ++user) {
        std::vector<std::tuple<std::uint16_t, std::uint16_t>> found;
        for (auto k = pairs.offsets[user]; k < pairs.offsets[user + 1]; ++k) {
          found.emplace_back(pairs.first[k], pairs.second[k]);
        }
        EXPECT_EQ(found, naive_pairs(table.scores_of(user), static_cast<std::size_t>(per_user)))
            << "user " << user << ", " << per_user << " pairs, " << levels << " levels";
      }
    }
  }
}

TEST(LargestPairs, RefuseMoreEntriesThanTheIndexHolds) {
  std::vector<float> list(65536, 0.0F);
  list[0] = 1.0F;
  EXPECT_THAT(error_of([&] { largest_pairs(table_of({list}), 1); }), HasSubstr("65536 scored items"));
  list.pop_back();
  EXPECT_EQ(largest_pairs(table_of({list}), 65535).second.back(), 65534);
}

TEST(LargestPairs, RefuseToKeepNone) {
  EXPECT_THAT(error_of([] { largest_pairs(table_of({{0.5F}}), 0); }), HasSubstr("ask for 1 or more"));
}

TEST(ProbeMatches, AreOfTheSameClassAndAboutAsPopular) {
  ScoreTable table = table_of({{0.9F, 0.8F, 0.7F, 0.6F, 0.5F, 0.4F}, {0.9F, 0.5F}, {0.9F, 0.5F}});
  table.probe[1] = 1;  // item 2, of popularity 10
  table.probe[2] = 0;
  table.probe[3] = -1;
  // log(1 + n) of 5 and 21 are .61 and .69 from that of 10, those of 4 and 22 are .79 and .74 from it.
  const std::vector<std::int32_t> popularity = {0, 4, 10, 5, 21, 22, 10};
  const std::vector<std::uint8_t> tail = {0, 0, 0, 0, 0, 0, 1};
  const MatchIndex matches = probe_matches(table, popularity, tail);
  EXPECT_THAT(matches.offsets, ElementsAre(0, 0, 0, 1, 2, 2, 2, 2, 2))
      << "user 2's: 4 and 10; 3 has no probe";
  EXPECT_THAT(matches.entries, ElementsAre(2, 3)) << "item 6 is as popular, but in the tail";
}

TEST(ProbeMatches, WhoIsAsPopularIsInBothLists) {
  ScoreTable table = table_of({{0.9F, 0.8F, 0.7F}});
  table.probe[1] = 0;
  const MatchIndex matches =
      probe_matches(table, std::vector<std::int32_t>{0, 10, 10, 12}, std::vector<std::uint8_t>{0, 0, 0, 0});
  EXPECT_THAT(matches.offsets, ElementsAre(0, 0, 0, 1, 3));
  EXPECT_THAT(matches.entries, ElementsAre(1, 1, 2));
}

}  // namespace
}  // namespace sllmr
