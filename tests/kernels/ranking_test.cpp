#include "kernels/ranking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "kernels/exec/memory.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

struct RankingCase {
  Id item_rows = 0;
  std::vector<float> scores;  // [users x item_rows]
  std::vector<Id> positives;
  std::vector<std::int64_t> offsets{0};
  std::vector<Id> excluded;

  void add_user(const std::vector<float>& row, Id positive, const std::vector<Id>& without) {
    item_rows = static_cast<Id>(row.size());
    scores.insert(scores.end(), row.begin(), row.end());
    positives.push_back(positive);
    excluded.insert(excluded.end(), without.begin(), without.end());
    offsets.push_back(static_cast<std::int64_t>(excluded.size()));
  }
};

class DeviceCase {
 public:
  DeviceCase(const Context& context, const RankingCase& c)
      : scores_(context, std::span(c.scores)),
        positives_(context, std::span(c.positives)),
        excluded_(context, std::span(c.excluded)),
        offsets_(context, std::span(c.offsets)),
        item_rows_(c.item_rows) {}
  RankingTile tile() const {
    return {.scores = scores_.data(),
            .users = static_cast<std::int64_t>(positives_.size()),
            .item_rows = item_rows_,
            .positives = positives_.data(),
            .excluded_offsets = offsets_.data(),
            .excluded = excluded_.data()};
  }

 private:
  Buffer<float> scores_;
  Buffer<Id> positives_, excluded_;
  Buffer<std::int64_t> offsets_;
  Id item_rows_;
};

std::vector<RankCounts> count(const Context& context, const RankingCase& c) {
  const DeviceCase device(context, c);
  Buffer<RankCounts> out(context, c.positives.size());
  run(context, CountRanks{.tile = device.tile(), .out = out.data()});
  return out.to_host(context);
}

/// The counts of a catalogue that is split in two, for positives that lie in one half or the other.
void expect_halves_add_up(const Context& context, const RankingCase& c) {
  const std::vector<RankCounts> whole = count(context, c);
  std::vector<RankCounts> sum(whole.size());
  std::vector<float> positive_scores;
  for (std::size_t user = 0; user < whole.size(); ++user)
    positive_scores.push_back(
        c.scores[user * static_cast<std::size_t>(c.item_rows) + static_cast<std::size_t>(c.positives[user])]);
  const Buffer<float> of_positives(context, std::span<const float>(positive_scores));
  const Id middle = c.item_rows / 2;
  for (const bool second : {false, true}) {
    RankingCase half;
    const auto place = [&](Id item) {
      return (item >= middle) != second ? 0 : second ? item - middle + 1 : item;
    };
    for (std::size_t user = 0; user < whole.size(); ++user) {
      const auto row = c.scores.begin() + static_cast<std::ptrdiff_t>(user) * c.item_rows;
      std::vector<float> scores{kNan};
      scores.insert(scores.end(), row + (second ? middle : 1), second ? row + c.item_rows : row + middle);
      std::vector<Id> without;
      for (auto k = c.offsets[user]; k < c.offsets[user + 1]; ++k) {
        if (const Id at = place(c.excluded[static_cast<std::size_t>(k)]); at != 0) without.push_back(at);
      }
      half.add_user(scores, place(c.positives[user]), without);
    }
    const DeviceCase device(context, half);
    RankingTile tile = device.tile();
    tile.positive_scores = of_positives.data();
    Buffer<RankCounts> out(context, whole.size());
    run(context, CountRanks{.tile = tile, .out = out.data()});
    const std::vector<RankCounts> counts = out.to_host(context);
    for (std::size_t user = 0; user < sum.size(); ++user) {
      EXPECT_EQ(counts[user].finite, 1);
      sum[user].above += counts[user].above;
      sum[user].ties += counts[user].ties;
      sum[user].below += counts[user].below;
    }
  }
  for (std::size_t user = 0; user < sum.size(); ++user) {
    EXPECT_EQ(sum[user].above, whole[user].above) << "user " << user;
    EXPECT_EQ(sum[user].ties, whole[user].ties) << "user " << user;
    EXPECT_EQ(sum[user].below, whole[user].below) << "user " << user;
  }
}

/// Item by item, with a look-up in the excluded ones for each.
RankCounts naive(const RankingCase& c, std::size_t user) {
  RankCounts counts;
  const float* row = c.scores.data() + user * static_cast<std::size_t>(c.item_rows);
  const double positive = row[c.positives[user]];
  for (Id item = 1; item < c.item_rows; ++item) {
    bool is_negative = item != c.positives[user];
    for (auto k = c.offsets[user]; k < c.offsets[user + 1]; ++k) {
      is_negative &= c.excluded[static_cast<std::size_t>(k)] != item;
    }
    if (!is_negative) continue;
    const double score = row[item];
    ++(score > positive ? counts.above : score < positive ? counts.below : counts.ties);
  }
  return counts;
}

/// Few distinct scores, so that most users have ties; padding is NaN, which must not matter.
RankingCase random_case(Id item_rows, int users, double share_excluded, std::uint32_t seed) {
  std::mt19937 engine(seed);
  const auto draw = [&](int n) { return static_cast<int>(engine() % static_cast<unsigned>(n)); };
  RankingCase c;
  for (int user = 0; user < users; ++user) {
    std::vector<float> row{kNan};
    for (Id item = 1; item < item_rows; ++item) row.push_back(0.25F * static_cast<float>(draw(9) - 4));
    const Id positive = 1 + draw(item_rows - 1);
    std::vector<Id> without;
    for (Id item = 1; item < item_rows; ++item) {
      if (item != positive && draw(1000) < 1000 * share_excluded) without.push_back(item);
    }
    c.add_user(row, positive, without);
  }
  return c;
}

void expect_naive(const Context& context, const RankingCase& c) {
  const std::vector<RankCounts> counts = count(context, c);
  for (std::size_t user = 0; user < counts.size(); ++user) {
    const RankCounts expected = naive(c, user);
    EXPECT_EQ(counts[user].above, expected.above) << "user " << user;
    EXPECT_EQ(counts[user].ties, expected.ties) << "user " << user;
    EXPECT_EQ(counts[user].below, expected.below) << "user " << user;
    EXPECT_EQ(counts[user].finite, 1) << "user " << user;
  }
}

void expect_naive_for_all_sizes(const Context& context) {
  for (const Id item_rows : {2, 3, 9, 32, 33, 257, 2000}) {
    for (const double share : {0.0, 0.1, 1.0}) {
      SCOPED_TRACE(testing::Message() << item_rows << " item rows, excluded " << share);
      expect_naive(context, random_case(item_rows, 7, share, static_cast<std::uint32_t>(item_rows)));
    }
  }
}

/// Counts beyond 2^16 a lane group and 2^24 in all, where floats stop counting.
void expect_large_counts(const Context& context) {
  constexpr Id kItemRows = (1 << 24) + 4;
  RankingCase c;
  std::vector<float> row(kItemRows, 1.0F);
  row[1] = row[2] = 0.0F;
  c.add_user(row, 2, {5, 7});
  const RankCounts counts = count(context, c)[0];
  EXPECT_EQ(counts.above, kItemRows - 1 - 2 - 2);
  EXPECT_EQ(counts.ties, 1);
  EXPECT_EQ(counts.below, 0);
  EXPECT_EQ(counts.finite, 1);
}

void expect_flags(const Context& context) {
  const auto finite = [&](const std::vector<float>& row) {
    RankingCase c;
    c.add_user({0, 1, 2, 3, 4}, 2, {3});  // a neighbour must not be flagged along
    c.add_user(row, 2, {3});
    const std::vector<RankCounts> counts = count(context, c);
    EXPECT_EQ(counts[0].finite, 1);
    return counts[1].finite;
  };
  EXPECT_EQ(finite({0, 1, 2, 3, 4}), 1);
  EXPECT_EQ(finite({kNan, 1, 2, 3, 4}), 1) << "padding";
  EXPECT_EQ(finite({0, kNan, 2, 3, 4}), 0) << "a negative";
  EXPECT_EQ(finite({0, 1, kNan, 3, 4}), 0) << "the positive";
  EXPECT_EQ(finite({0, 1, 2, kNan, 4}), 0) << "an excluded item";
  EXPECT_EQ(finite({0, 1, kInfinity, 3, 4}), 0) << "the positive is infinite";
  EXPECT_EQ(finite({0, -kInfinity, 2, 3, kInfinity}), 1) << "negatives at infinity still rank";
}

std::vector<Id> top(const Context& context, const RankingCase& c, int k) {
  const DeviceCase device(context, c);
  Buffer<Id> out(context, c.positives.size() * static_cast<std::size_t>(k));
  run(context, TopItems{.tile = device.tile(), .k = k, .out = out.data()});
  return out.to_host(context);
}

/// All items that are not excluded, sorted.
std::vector<Id> naive_top(const RankingCase& c, std::size_t user, std::size_t k) {
  const float* row = c.scores.data() + user * static_cast<std::size_t>(c.item_rows);
  std::vector<std::pair<double, Id>> items;
  for (Id item = 1; item < c.item_rows; ++item) {
    bool excluded = false;
    for (auto at = c.offsets[user]; at < c.offsets[user + 1]; ++at) {
      excluded |= c.excluded[static_cast<std::size_t>(at)] == item;
    }
    if (!excluded) items.emplace_back(-double{row[item]}, item);
  }
  std::sort(items.begin(), items.end());
  std::vector<Id> best(k);
  for (std::size_t place = 0; place < std::min(k, items.size()); ++place) best[place] = items[place].second;
  return best;
}

void expect_naive_lists(const Context& context) {
  for (const Id item_rows : {2, 3, 9, 64, 65, 66, 257, 2000}) {
    for (const double share : {0.0, 0.1, 0.9, 1.0}) {
      const RankingCase c = random_case(item_rows, 7, share, static_cast<std::uint32_t>(item_rows) + 50);
      for (const int k : {1, 2, 10, 100}) {
        SCOPED_TRACE(testing::Message() << item_rows << " item rows, excluded " << share << ", k " << k);
        const std::vector<Id> lists = top(context, c, k);
        for (std::size_t user = 0; user < c.positives.size(); ++user) {
          const auto length = static_cast<std::size_t>(k);
          const auto begin = lists.begin() + static_cast<std::ptrdiff_t>(user * length);
          EXPECT_EQ(std::vector<Id>(begin, begin + k), naive_top(c, user, length)) << "user " << user;
        }
      }
    }
  }
}

/// Scores that rise, fall, or are infinite.
void expect_lists_by_hand(const Context& context) {
  RankingCase c;
  c.add_user({9, 1, 2, 3, 4, 5, 6}, 1, {6});
  c.add_user({9, 6, 5, 4, 3, 2, 1}, 1, {2, 3});
  c.add_user({9, -kInfinity, -kInfinity, kInfinity, -kInfinity, 0, kInfinity}, 5, {});
  EXPECT_EQ(top(context, c, 3), (std::vector<Id>{5, 4, 3, 1, 4, 5, 3, 6, 5}));
  EXPECT_EQ(top(context, c, 5), (std::vector<Id>{5, 4, 3, 2, 1, 1, 4, 5, 6, 0, 3, 6, 5, 1, 2}));
}

TEST(Ranking, ListsAreTheNaiveOnes) {
  expect_naive_lists(Context(Device::cpu, 2));
  expect_lists_by_hand(Context(Device::cpu));
}
TEST(Ranking, EqualsTheNaiveCount) {
  expect_naive_for_all_sizes(Context(Device::cpu));
}
TEST(Ranking, CountsPastTheReachOfFloats) {
  expect_large_counts(Context(Device::cpu));
}
TEST(Ranking, FlagsScoresThatAreNotFinite) {
  expect_flags(Context(Device::cpu));
}

TEST(Ranking, CountsOfPartsOfTheCatalogueAddUp) {
  expect_halves_add_up(Context(Device::cpu, 2), random_case(301, 40, 0.1, 5));
}
TEST(Ranking, HandExample) {
  RankingCase c;
  //          pad  1    2    3    4    5    6
  c.add_user({9, .5F, .7F, .5F, .9F, .1F, .5F}, 3, {2, 6});
  const RankCounts counts = count(Context(Device::cpu), c)[0];
  EXPECT_EQ(counts.above, 1);  // 4; 2 is excluded
  EXPECT_EQ(counts.ties, 1);   // 1; 6 is excluded
  EXPECT_EQ(counts.below, 1);  // 5
}

class RankingCuda : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  }
};
TEST_F(RankingCuda, EqualsTheNaiveCount) {
  expect_naive_for_all_sizes(Context(Device::cuda));
}
TEST_F(RankingCuda, CountsOfPartsOfTheCatalogueAddUp) {
  expect_halves_add_up(Context(Device::cuda), random_case(301, 40, 0.1, 5));
}
TEST_F(RankingCuda, ListsAreTheNaiveOnes) {
  expect_naive_lists(Context(Device::cuda));
  expect_lists_by_hand(Context(Device::cuda));
}
TEST_F(RankingCuda, CountsPastTheReachOfFloats) {
  expect_large_counts(Context(Device::cuda));
}
TEST_F(RankingCuda, FlagsScoresThatAreNotFinite) {
  expect_flags(Context(Device::cuda));
}

}  // namespace
}  // namespace sllmr
