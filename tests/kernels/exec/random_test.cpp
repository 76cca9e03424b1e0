// The random numbers: known answers, moments, permutations.
#include "kernels/exec/random.h"
#include "kernels/exec/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "tests/support/compare.h"

namespace sllmr {
namespace {

std::vector<std::uint32_t> words(const Draw& draw) {
  return {draw.word, draw.word + 4};
}

TEST(Philox, GivesTheKnownAnswers) {
  // Random123's published vectors for philox4x32-10. A counter's last word is the purpose and the block.
  using Words = std::vector<std::uint32_t>;
  EXPECT_EQ(words(philox(0, 0, 0, static_cast<Purpose>(0))),
            (Words{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  EXPECT_EQ(words(philox(~0ULL, ~0U, ~0ULL, static_cast<Purpose>(0xFF), 0xFFFFFF)),
            (Words{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(
      words(philox(0x299F31D0A4093822, 0x13198A2E, 0x85A308D3243F6A88, static_cast<Purpose>(0x44), 0x037073)),
      (Words{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

TEST(Philox, EveryPartOfTheCounterMatters) {
  const std::vector<std::uint32_t> base = words(philox(1, 2, 3, Purpose::pair, 0));
  EXPECT_EQ(words(philox(1, 2, 3, Purpose::pair, 0)), base);
  EXPECT_NE(words(philox(2, 2, 3, Purpose::pair, 0)), base);
  EXPECT_NE(words(philox(1 + (1ULL << 32), 2, 3, Purpose::pair, 0)), base);
  EXPECT_NE(words(philox(1, 3, 3, Purpose::pair, 0)), base);
  EXPECT_NE(words(philox(1, 2, 4, Purpose::pair, 0)), base);
  EXPECT_NE(words(philox(1, 2, 3 + (1ULL << 32), Purpose::pair, 0)), base);
  EXPECT_NE(words(philox(1, 2, 3, Purpose::probe, 0)), base);
  EXPECT_NE(words(philox(1, 2, 3, Purpose::pair, 1)), base);
}

TEST(Random, UniformIsInTheHalfOpenUnitInterval) {
  EXPECT_EQ(uniform(0), 0.0F);
  EXPECT_LT(uniform(0xFFFFFFFF), 1.0F);
  double sum = 0, squares = 0;
  constexpr int kDraws = 100'000;
  for (int k = 0; k < kDraws; ++k) {
    const auto x =
        static_cast<double>(uniform(philox(1, 0, static_cast<std::uint64_t>(k), Purpose::noise).word[2]));
    sum += x;
    squares += x * x;
  }
  // Standard errors: 0.29 / sqrt(n) and 0.30 / sqrt(n); four of them.
  EXPECT_TRUE(near(sum / kDraws, 0.5, {0.0038, 0}));
  EXPECT_TRUE(near(squares / kDraws, 1.0 / 3, {0.0038, 0}));
}

TEST(Random, BelowCoversItsRangeEvenly) {
  for (const std::uint32_t n : {1U, 2U, 7U, 1000U}) {
    EXPECT_EQ(below(0, n), 0U);
    EXPECT_EQ(below(0xFFFFFFFF, n), n - 1);
  }
  constexpr int kDraws = 70'000;
  std::vector<int> counts(7);
  for (int k = 0; k < kDraws; ++k) {
    ++counts[below(philox(2, 0, static_cast<std::uint64_t>(k), Purpose::noise).word[0], 7)];
  }
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - 10'000.0, 2) / 10'000;
  EXPECT_LT(chi_square, 22.5);  // 6 degrees of freedom: one in a thousand
}

TEST(Random, NormalHasItsMoments) {
  double sums[4] = {};
  constexpr int kDraws = 100'000;
  for (int k = 0; k < kDraws; ++k) {
    const Draw draw = philox(3, 0, static_cast<std::uint64_t>(k), Purpose::init_user);
    const auto x = static_cast<double>(normal(draw.word[0], draw.word[1]));
    double power = 1;
    for (double& sum : sums) sum += power *= x;
  }
  EXPECT_TRUE(near(sums[0] / kDraws, 0, {0.013, 0}));
  EXPECT_TRUE(near(sums[1] / kDraws, 1, {0.018, 0}));
  EXPECT_TRUE(near(sums[2] / kDraws, 0, {0.05, 0}));
  EXPECT_TRUE(near(sums[3] / kDraws, 3, {0.13, 0}));
  EXPECT_TRUE(std::isfinite(normal(0, 0)));
  EXPECT_TRUE(std::isfinite(normal(0xFFFFFFFF, 0xFFFFFFFF)));
}

TEST(Permutation, VisitsEveryIndexOnce) {
  std::vector<std::uint64_t> sizes{1, 2, 3, 5, 100, 1000, 5000};
  for (std::uint64_t power = 4; power <= 16384; power *= 4) {
    for (const std::uint64_t n : {power - 1, power, power + 1}) sizes.push_back(n);
  }
  for (const std::uint64_t n : sizes) {
    for (std::uint32_t epoch = 0; epoch < 3; ++epoch) {
      const Permutation permutation(9, epoch, n);
      std::vector<bool> seen(n);
      for (std::uint64_t k = 0; k < n; ++k) {
        const std::uint64_t at = permutation(k);
        ASSERT_LT(at, n);
        ASSERT_FALSE(seen[at]) << "n " << n << ", index " << k;
        seen[at] = true;
      }
    }
  }
}

TEST(Permutation, TakesManyAtOnceAsOneByOne) {
  // Beyond 2^32 it counts in longer words.
  for (const std::uint64_t n : {1ULL, 2ULL, 17ULL, 1000ULL, 4097ULL, (1ULL << 32) - 5, (1ULL << 32) + 5}) {
    const Permutation permutation(9, 2, n);
    for (const std::int64_t count : {1, 5, 8, 31, 32}) {
      const std::uint64_t first = n - std::min(n, static_cast<std::uint64_t>(count));
      const auto length = static_cast<std::int64_t>(n - first);
      std::uint64_t taken[32];
      permutation.take<32>(first, length, taken);
      for (std::int64_t k = 0; k < length; ++k) {
        ASSERT_EQ(taken[k], permutation(first + static_cast<std::uint64_t>(k))) << n << " " << count;
      }
    }
  }
}

TEST(BlockPermutation, VisitsEveryIndexOnceBlockByBlock) {
  for (const std::uint64_t n : {1, 5, 64, 100, 1000, 4096, 5000}) {
    for (const std::uint64_t block : {0, 1, 7, 64, 1000, 4096, 6000}) {
      const BlockPermutation order(9, 1, n, block);
      std::vector<std::uint64_t> visits;
      for (std::uint64_t k = 0; k < n; ++k) visits.push_back(order(k));
      if (block > 0) {
        for (std::uint64_t k = 0; k < n; k += block) {
          for (std::uint64_t j = k; j < std::min(n, k + block); ++j) {
            const std::uint64_t apart = (visits[j] + n - visits[k]) % n;  // blocks may go around the end
            ASSERT_TRUE(apart < block || n - apart < block) << n << " by " << block;
          }
        }
      }
      std::sort(visits.begin(), visits.end());
      for (std::uint64_t k = 0; k < n; ++k) ASSERT_EQ(visits[k], k) << n << " by " << block;
    }
  }
}

TEST(BlockPermutation, OtherUsersComeLastInEveryEpoch) {
  std::set<std::uint64_t> last;
  for (std::uint32_t epoch = 0; epoch < 20; ++epoch) last.insert(BlockPermutation(9, epoch, 1000, 600)(999));
  EXPECT_GT(last.size(), 15U);
  const BlockPermutation none(9, 0, 0, 0), of_blocks(9, 0, 0, 5);  // can be made
}

TEST(BlockPermutation, WithoutBlocksIsThePermutation) {
  const BlockPermutation blocks(9, 2, 777, 0);
  const Permutation plain(9, 2, 777);
  for (std::uint64_t k = 0; k < 777; ++k) ASSERT_EQ(blocks(k), plain(k));
}

TEST(BlockPermutation, ShufflesBlocksAndPlaces) {
  const BlockPermutation order(9, 3, 64 * 64, 64);
  int blocks_kept = 0, places_kept = 0;
  for (std::uint64_t k = 0; k < 64; ++k) {
    blocks_kept += order(64 * k) / 64 == k;
    places_kept += order(k) % 64 == k;
  }
  EXPECT_LT(blocks_kept, 8);  // one is expected
  EXPECT_LT(places_kept, 8);
}

TEST(BlockPermutation, TakesManyAtOnceAsOneByOne) {
  constexpr std::uint64_t kSize = 1000;
  for (const std::uint64_t block : {0, 1, 7, 64, 999, 1000, 2000}) {
    const BlockPermutation order(9, 2, kSize, block);
    for (const std::uint64_t first : {0, 3, 60, 640, 968}) {
      std::uint64_t taken[32];
      order.take<32>(first, 32, taken);
      for (std::uint64_t k = 0; k < 32; ++k) ASSERT_EQ(taken[k], order(first + k)) << block << " " << first;
    }
  }
}

TEST(Permutation, EpochsAndSeedsOrderDifferently) {
  constexpr std::uint64_t kSize = 1000;
  const Permutation base(1, 0, kSize);
  for (const Permutation& other : {Permutation(1, 1, kSize), Permutation(2, 0, kSize)}) {
    int same = 0;
    for (std::uint64_t k = 0; k < kSize; ++k) same += base(k) == other(k);
    EXPECT_LT(same, 10);  // one is expected
  }
}

TEST(Permutation, LeavesNoTraceOfTheOrder) {
  constexpr std::uint64_t kSize = 4000;
  const Permutation permutation(1, 0, kSize);
  double covariance = 0, neighbours = 0;
  for (std::uint64_t k = 0; k + 1 < kSize; ++k) {
    const double x = static_cast<double>(permutation(k)) / kSize - 0.5;
    const double next = static_cast<double>(permutation(k + 1)) / kSize - 0.5;
    covariance += (static_cast<double>(k) / kSize - 0.5) * x;
    neighbours += next * x;
  }
  // A correlation's standard error is 1 / sqrt(n) = 0.016; four of them.
  EXPECT_TRUE(near(12 * covariance / kSize, 0, {0.064, 0}));
  EXPECT_TRUE(near(12 * neighbours / kSize, 0, {0.064, 0}));
}

}  // namespace
}  // namespace sllmr
