// Sums over the occurrences of a table's row, by one lane and by CUDA's many.
#include "models/adam/occurrences.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/exec/launch.h"
#include "tests/support/lockstep.h"

namespace sllmr {
namespace {

constexpr int kLanes = 8, kBags = 40;

/// A row that occurs `count` times, in fields 0 and 2, which have a gradient, and 1, which has none. Row 0 of
/// the table holds infinities.
struct OneRow {
  std::vector<float> weights, d_first, d_last;
  std::vector<std::int32_t> length, bag;
  std::vector<std::int8_t> field;
  std::vector<std::int64_t> offsets;
  AdamTable<float> table;
  AdamArgs<float> args;

  OneRow(int width, int count) {
    const auto columns = static_cast<std::size_t>(width);
    weights.assign(3 * columns, 1.0F);
    std::fill_n(weights.begin(), columns, std::numeric_limits<float>::infinity());
    for (std::size_t k = 0; k < kBags * columns; ++k) {
      d_first.push_back(0.37F * static_cast<float>(k % 11) - 1.3F);
      d_last.push_back(0.21F * static_cast<float>(k % 7) - 0.4F);
    }
    for (int b = 0; b < kBags; ++b) length.push_back(1 + b % 3);
    for (int o = 0; o < count; ++o) {
      field.push_back(static_cast<std::int8_t>(o % 3));
      bag.push_back(7 * o % kBags);
    }
    offsets = {0, count};
    table.weights = weights.data();
    table.width = width;
    table.n = 1;
    table.offsets = offsets.data();
    table.field = field.data();
    table.row = bag.data();
    args.gradients[0][0] = {d_first.data(), width, length.data()};
    args.gradients[0][2] = {d_last.data(), width, length.data()};
  }
  RowOccurrences<float> occurrences() const { return {table, args.gradients[0]}; }
};

TEST(RowOccurrences, ManyLanesAddWhatOneDoes) {
  for (const int count : {1, 2, 7, 8, 9, 23}) {
    const OneRow row(5, count);
    float one[kLanes] = {};
    row.occurrences().add_columns(CpuLanes{}, 0, 0, one);
    std::array<float, kLanes> many{};
    Lockstep<kLanes>::run([&](auto lanes) {
      float own[1] = {};
      row.occurrences().add_columns(lanes, 0, 0, own);
      many.at(static_cast<std::size_t>(lanes.lane())) = own[0];
    });
    for (int k = 0; k < kLanes; ++k) {
      EXPECT_EQ(many.at(static_cast<std::size_t>(k)), one[k]) << count << " occurrences, column " << k;
      EXPECT_EQ(one[k] != 0, k < row.table.width) << k;
    }
  }
}

TEST(RowOccurrences, OfOneColumnTogetherAreAsAlone) {
  for (const int count : {1, 9, 24, 29}) {
    const OneRow row(1, count);
    const float alone = row.occurrences().sum_alone(0);
    EXPECT_TRUE(std::isfinite(alone) && alone != 0);
    Lockstep<kLanes>::run(
        [&](auto lanes) { EXPECT_EQ(row.occurrences().sum_together(lanes, 0), alone) << count; });
  }
}

}  // namespace
}  // namespace sllmr
