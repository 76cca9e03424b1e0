#include "kernels/screened_ranking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace sllmr {
namespace {

/// Tables of small whole numbers times a power of 2 a row: their products are exact in float, and many tie.
struct World {
  World(Id n_users, Id n_items, std::int64_t row_width, int exponents, std::uint32_t seed)
      : engine(seed), width(row_width), users(table(n_users, exponents)), items(table(n_items, exponents)) {
    for (Id user = 0; user < n_users; ++user) {
      ids.push_back(n_users - 1 - user);
      std::vector<Id> some;
      for (Id item = 1; item < n_items; ++item) {
        if (below(10) == 0) some.push_back(item);
      }
      Id positive = 1 + below(n_items - 1);
      if (below(3) == 0) positive = n_items - 1;
      std::erase(some, positive);
      positives.push_back(positive);
      excluded.insert(excluded.end(), some.begin(), some.end());
      offsets.push_back(std::ssize(excluded));
    }
  }

  int below(int n) { return static_cast<int>(engine() % static_cast<unsigned>(n)); }
  std::vector<float> table(Id rows, int exponents) {
    std::vector<float> numbers;
    for (Id row = 0; row < rows; ++row) {
      const int exponent = exponents == 0 ? 0 : below(2 * exponents) - exponents;
      const bool zero = below(20) == 0;
      for (std::int64_t k = 0; k < width; ++k) {
        numbers.push_back(zero ? 0.0F : std::ldexp(static_cast<float>(below(15) - 7), exponent));
      }
    }
    return numbers;
  }
  Matrix<const float> matrix(const std::vector<float>& of) const {
    return {of.data(), std::ssize(of) / width, width};
  }
  float& number(std::vector<float>& of, Id row, std::int64_t k) {
    return of[static_cast<std::size_t>(row * width + k)];
  }

  std::vector<RankCounts> counts(int threads = 1) const {
    const Context context(Device::cpu, threads);
    const ScreenedItems screened(context, matrix(items));
    std::vector<RankCounts> out(ids.size());
    screened.count(matrix(users),
                   {ids.data(), std::ssize(ids), positives.data(), offsets.data(), excluded.data()},
                   out.data());
    return out;
  }

  double score(std::size_t k, Id item) const {
    double sum = 0;
    for (std::int64_t d = 0; d < width; ++d) {
      sum +=
          static_cast<double>(matrix(users).row(ids[k])[d]) * static_cast<double>(matrix(items).row(item)[d]);
    }
    return sum;
  }
  /// The definition, in double.
  RankCounts naive(std::size_t k) const {
    RankCounts counts;
    const auto first = excluded.begin() + offsets[k], last = excluded.begin() + offsets[k + 1];
    for (Id item = 1; item < matrix(items).rows; ++item) {
      if (item == positives[k] || std::find(first, last, item) != last) continue;
      const double mine = score(k, positives[k]), other = score(k, item);
      ++(other > mine ? counts.above : other == mine ? counts.ties : counts.below);
    }
    return counts;
  }

  void expect_exact() const {
    const std::vector<RankCounts> got = counts();
    for (std::size_t k = 0; k < got.size(); ++k) {
      const RankCounts want = naive(k);
      ASSERT_EQ(got[k].above, want.above) << "user " << k;
      ASSERT_EQ(got[k].ties, want.ties) << "user " << k;
      ASSERT_EQ(got[k].below, want.below) << "user " << k;
      ASSERT_EQ(got[k].finite, 1) << "user " << k;
    }
  }

  std::mt19937 engine;
  std::int64_t width;
  std::vector<float> users, items;
  std::vector<Id> ids, positives, excluded;
  std::vector<std::int64_t> offsets{0};
};

class ScreenedRanking : public testing::Test {
  void SetUp() override {
    if (!ScreenedItems::supports(64)) GTEST_SKIP() << "this processor has no AVX-512 VNNI";
  }
};

TEST_F(ScreenedRanking, CountsWhatTheDefinitionCounts) {
  std::uint32_t seed = 1;
  for (const std::int64_t width : {16, 32, 64, 112, 256}) {
    for (const Id items : {2, 16, 17, 33, 64, 65, 129, 1023, 1024, 1025, 1100}) {
      SCOPED_TRACE(testing::Message() << "width " << width << ", " << items << " items");
      World(1 + static_cast<Id>(seed * 17 % 90), items, width, 0, seed).expect_exact();
      ++seed;
    }
  }
}

TEST_F(ScreenedRanking, APositiveOfAnotherTableIsNotCounted) {
  const World world(40, 500, 64, 0, 3);
  const Context context(Device::cpu, 1);
  const ScreenedItems whole(context, world.matrix(world.items));
  std::vector<float> scores;
  for (std::size_t k = 0; k < world.ids.size(); ++k)
    scores.push_back(whole.score(world.matrix(world.users).row(world.ids[k]), world.positives[k]));
  // Row 0 of the second half is padding too.
  constexpr Id kFirst = 250;
  std::vector<RankCounts> sum(world.ids.size());
  for (const bool second : {false, true}) {
    const ScreenedItems half(context, second
                                          ? world.matrix(world.items).row_range(kFirst - 1, 500 - kFirst + 1)
                                          : world.matrix(world.items).row_range(0, kFirst));
    const auto place = [&](Id item) {
      return (item >= kFirst) != second ? 0 : second ? item - kFirst + 1 : item;
    };
    std::vector<Id> positives, excluded;
    std::vector<std::int64_t> offsets{0};
    for (std::size_t k = 0; k < world.ids.size(); ++k) {
      positives.push_back(place(world.positives[k]));
      for (auto e = world.offsets[k]; e < world.offsets[k + 1]; ++e) {
        if (const Id at = place(world.excluded[static_cast<std::size_t>(e)]); at != 0) excluded.push_back(at);
      }
      offsets.push_back(std::ssize(excluded));
    }
    std::vector<RankCounts> counts(world.ids.size());
    half.count(world.matrix(world.users),
               {world.ids.data(), std::ssize(world.ids), positives.data(), offsets.data(), excluded.data(),
                scores.data()},
               counts.data());
    for (std::size_t k = 0; k < sum.size(); ++k) {
      sum[k].above += counts[k].above;
      sum[k].ties += counts[k].ties;
      sum[k].below += counts[k].below;
    }
  }
  for (std::size_t k = 0; k < sum.size(); ++k) {
    const RankCounts want = world.naive(k);
    EXPECT_EQ(sum[k].above, want.above) << "user " << k;
    EXPECT_EQ(sum[k].ties, want.ties) << "user " << k;
    EXPECT_EQ(sum[k].below, want.below) << "user " << k;
  }
}

TEST_F(ScreenedRanking, RowsOfVeryDifferentSizesShareBlocks) {
  for (const int exponents : {1, 4, 12, 40}) {
    SCOPED_TRACE(exponents);
    World(60, 700, 64, exponents, 7).expect_exact();
  }
}

TEST_F(ScreenedRanking, WhatIsCloseIsOnItsOwnSide) {
  // All scores lie within a rounding's width of each other, but differ.
  World world(40, 500, 32, 0, 3);
  for (float& x : world.users) x = 100;
  for (Id item = 0; item < 500; ++item) {
    for (std::int64_t k = 0; k < 32; ++k) world.number(world.items, item, k) = 100;
    world.number(world.items, item, item % 32) += static_cast<float>((item * 37) % 101) / 64;
  }
  world.expect_exact();
}

/// A score in float with its terms in the kernel's order: sixteen running sums, halved till one is left.
float score_of(const float* u, const float* v, std::int64_t width) {
  float sums[16] = {};
  for (std::int64_t k = 0; k < width; ++k) sums[k % 16] = std::fmaf(u[k], v[k], sums[k % 16]);
  for (int k = 0; k < 8; ++k) sums[k] += sums[k + 8];
  for (int k = 0; k < 4; ++k) sums[k] += sums[k + 4];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

TEST_F(ScreenedRanking, ScoresThatDifferByARoundingAreComparedInFloat) {
  for (const std::int64_t width : {32, 64, 256}) {
    World world(40, 900, width, 0, 9);
    std::normal_distribution<float> normal;
    for (float& x : world.users) x = normal(world.engine);
    for (Id item = 0; item < 900; ++item) {  // all items nearly the same: their scores are a few bits apart
      for (std::int64_t k = 0; k < width; ++k) {
        float& x = world.number(world.items, item, k);
        x = item == 0 ? normal(world.engine) : world.number(world.items, 0, k);
        if (item > 0 && world.below(4) == 0) x = std::nextafter(x, 10.0F);
      }
    }
    const std::vector<RankCounts> got = world.counts();
    const Matrix<const float> users = world.matrix(world.users), items = world.matrix(world.items);
    for (std::size_t k = 0; k < got.size(); ++k) {
      const auto first = world.excluded.begin() + world.offsets[k],
                 last = world.excluded.begin() + world.offsets[k + 1];
      const float* u = users.row(world.ids[k]);
      const float mine = score_of(u, items.row(world.positives[k]), width);
      int above = 0, ties = 0;
      for (Id item = 1; item < 900; ++item) {
        if (item == world.positives[k] || std::find(first, last, item) != last) continue;
        const float other = score_of(u, items.row(item), width);
        above += other > mine;
        ties += other == mine;
      }
      ASSERT_EQ(got[k].above, above) << "width " << width << ", user " << k;
      ASSERT_EQ(got[k].ties, ties) << "width " << width << ", user " << k;
    }
  }
}

TEST_F(ScreenedRanking, NumbersTooLargeForTheBoundsAreComparedInFull) {
  World world(20, 100, 32, 0, 4);
  world.number(world.items, 40, 3) = 0x1p100F;
  world.expect_exact();
  World user(20, 100, 32, 0, 5);
  user.number(user.users, 7, 3) = -0x1p100F;
  user.expect_exact();
}

TEST_F(ScreenedRanking, ANumberThatIsNoneIsTold) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                  kInf = std::numeric_limits<float>::infinity();
  const auto finite = [](const World& world) {
    std::vector<int> each;
    for (const RankCounts& counts : world.counts()) each.push_back(counts.finite);
    return each;
  };
  World world(30, 200, 16, 0, 6);
  EXPECT_EQ(std::ranges::count(finite(world), 1), 30);
  World of_user = world;
  of_user.number(of_user.users, of_user.ids[4], 2) = kNan;
  EXPECT_EQ(std::ranges::count(finite(of_user), 0), 1);
  EXPECT_EQ(finite(of_user)[4], 0);
  World of_item = world;
  of_item.number(of_item.items, 150, 15) = kNan;
  EXPECT_EQ(std::ranges::count(finite(of_item), 0), 30);
  World infinite = world;
  for (Id user = 0; user < 30; ++user) infinite.number(infinite.users, user, 0) = 1;
  infinite.number(infinite.items, world.positives[9], 0) = kInf;
  EXPECT_EQ(finite(infinite)[9], 0);
  EXPECT_EQ(std::ranges::count(finite(infinite), 0), std::ranges::count(world.positives, world.positives[9]));
}

TEST_F(ScreenedRanking, ThreadsThatRoundTheItemsDoNotShow) {
  const World world(50, 900, 64, 2, 8);
  const auto one = world.counts(1), three = world.counts(3);
  for (std::size_t k = 0; k < one.size(); ++k) {
    EXPECT_EQ(one[k].above, three[k].above);
    EXPECT_EQ(one[k].below, three[k].below);
  }
}

TEST_F(ScreenedRanking, WidthsThatItIsNotMadeForAreNotSupported) {
  EXPECT_FALSE(ScreenedItems::supports(24));
  EXPECT_FALSE(ScreenedItems::supports(2048));
  EXPECT_TRUE(ScreenedItems::supports(48));
}

}  // namespace
}  // namespace sllmr
