#include "host/text/nearest_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/errors.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

TextVectors unit_rows(Id rows, std::int64_t width, std::uint64_t seed) {
  TextVectors vectors{width, TestNumbers(seed).many(static_cast<std::size_t>(rows * width), -1.0F, 1.0F), {}};
  for (Id row = 0; row < rows; ++row) {
    float square = 0;
    for (const float x : vectors.of(row)) square += x * x;
    for (std::int64_t d = 0; d < width; ++d) {
      vectors.values[static_cast<std::size_t>(row * width + d)] *= row == 0 ? 0 : 1 / std::sqrt(square);
    }
  }
  return vectors;
}

TEST(NearestItems, AreThoseOfTheLargestCosines) {
  constexpr Id kRows = 400;  // more than a tile
  constexpr int kNearest = 5;
  const TextVectors vectors = unit_rows(kRows, 16, 8);
  const std::vector<Id> nearest = nearest_items(Context(Device::cpu, 2), vectors, kNearest);
  ASSERT_EQ(nearest.size(), static_cast<std::size_t>(kRows * kNearest));
  for (Id item = 1; item < kRows; ++item) {
    std::vector<std::pair<double, Id>> all;
    for (Id other = 1; other < kRows; ++other) {
      if (other == item) continue;
      double cosine = 0;
      for (std::size_t d = 0; d < 16; ++d) {
        cosine += static_cast<double>(vectors.of(item)[d]) * static_cast<double>(vectors.of(other)[d]);
      }
      all.emplace_back(-cosine, other);
    }
    std::ranges::sort(all);
    for (std::size_t k = 0; k < kNearest; ++k) {
      const Id found = nearest[static_cast<std::size_t>(item * kNearest) + k];
      const auto at = std::ranges::find(all, found, &std::pair<double, Id>::second);
      ASSERT_NE(at, all.end()) << "the item itself, or the padding";
      EXPECT_LT(at->first - all[k].first, 0x1p-15) << item << ", number " << k;
    }
  }
}

TEST(NearestItems, OfOneTextComeByTheirIds) {
  TextVectors vectors = unit_rows(6, 4, 3);
  for (Id item = 2; item < 6; ++item) {
    std::copy_n(vectors.values.begin() + 4, 4, vectors.values.begin() + 4 * item);
  }
  const std::vector<Id> nearest = nearest_items(Context(Device::cpu, 1), vectors, 3);
  EXPECT_THAT(std::vector<Id>(nearest.begin() + 9, nearest.begin() + 12), testing::ElementsAre(1, 2, 4));
}

TEST(NearestItems, OfFewComeAgain) {
  const std::vector<Id> nearest = nearest_items(Context(Device::cpu, 1), unit_rows(3, 4, 3), 3);
  EXPECT_THAT(nearest, testing::ElementsAre(0, 0, 0, 2, 2, 2, 1, 1, 1));
  EXPECT_THAT(error_of([] { nearest_items(Context(Device::cpu, 1), unit_rows(2, 4, 3), 3); }),
              testing::HasSubstr("two items"));
}

}  // namespace
}  // namespace sllmr
