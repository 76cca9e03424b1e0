// What CUDA's lanes do with their shares of a row, on the CPU: the bodies that use them run there with one
// lane alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/mf_update.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

/// One of `Size` lanes, as CudaLanes, but for what lanes do together.
template <int Size>
struct OneLane {
  static constexpr int size = Size;
  int own;

  int lane() const { return own; }
  void add(float* to, float x) const { *to += x; }
  void add_four(float* to, const float (&x)[4]) const {
    for (int k = 0; k < 4; ++k) to[k] += x[k];
  }
  void sync() const {}
  float sum(float x) const { return x; }
};

std::vector<float> numbers(std::size_t n, float first) {
  std::vector<float> values(n);
  for (std::size_t k = 0; k < n; ++k) values[k] = first + 0.25F * static_cast<float>(k);
  return values;
}

template <int Dim, int Size>
void expect_shares_cover_the_row() {
  using Share = RowShare<Dim, OneLane<Size>>;
  alignas(16) std::array<float, Dim> row;
  const std::vector<float> values = numbers(Dim, 1.0F);
  std::copy(values.begin(), values.end(), row.begin());
  std::vector<int> seen(Dim, 0);
  for (int lane = 0; lane < Size; ++lane) {
    const Share share(OneLane<Size>{lane}, row.data());
    for (int k = 0; k < Share::n; ++k) {
      const int column = Share::column(OneLane<Size>{lane}, k);
      ASSERT_EQ(share[k], row.at(static_cast<std::size_t>(column)));
      ++seen.at(static_cast<std::size_t>(column));
    }
  }
  EXPECT_EQ(seen, std::vector<int>(Dim, 1)) << Dim << " numbers, " << Size << " lanes";
}

TEST(RowShare, LanesShareARowOut) {
  expect_shares_cover_the_row<32, 8>();
  expect_shares_cover_the_row<64, 16>();
  expect_shares_cover_the_row<128, 32>();
  expect_shares_cover_the_row<256, 32>();
  expect_shares_cover_the_row<32, 32>();  // without fours, as in the exact step
  expect_shares_cover_the_row<64, 32>();
}

/// A table of one row and its optimiser state, fit for fours.
struct Table {
  alignas(16) float weights[8], first[8], second[8];
  std::int32_t steps = 6;

  Table() {
    for (int k = 0; k < 8; ++k) {
      weights[k] = 0.5F * static_cast<float>(k) - 1.0F;
      first[k] = 0.25F + 0.125F * static_cast<float>(k);
      second[k] = 0.5F + 0.0625F * static_cast<float>(k);
    }
  }
  TableView view() { return {weights, first, second, &steps}; }
};

template <class Optimizer>
void expect_four_are_four_steps() {
  const OneLane<2> lanes{1};
  const Four gradient{0.5F, -1.0F, 0.0F, 2.0F};
  constexpr std::int64_t kAt = 4;
  Table one, four;
  const TableView one_view = one.view(), four_view = four.view();
  const Optimizer one_update({0.125F, 0}, one_view, 0), four_update({0.125F, 0}, four_view, 0);
  for (int k = 0; k < 4; ++k) {
    one_update.step(lanes, one_view, kAt + k, one.weights[kAt + k], gradient.value[k]);
  }
  four_update.step(lanes, four_view, kAt, four_at(four.weights, kAt), gradient);
  one_update.finish(OneLane<1>{0}, one_view, 0);
  four_update.finish(OneLane<1>{0}, four_view, 0);
  const Table untouched;
  for (int k = 0; k < 8; ++k) {
    EXPECT_EQ(four.weights[k], one.weights[k]) << k;
    EXPECT_EQ(four.first[k], one.first[k]) << k;
    EXPECT_EQ(four.second[k], one.second[k]) << k;
    const bool steps = k >= kAt && gradient.value[k - kAt] != 0;
    EXPECT_TRUE(steps ? four.weights[k] != untouched.weights[k]
                      : k >= kAt || four.weights[k] == untouched.weights[k]);
  }
  EXPECT_EQ(four.steps, one.steps);
  // The memory that kOptimizers asks for is what the formula writes.
  const OptimizerInfo& info = info_of(Optimizer::kind);
  EXPECT_EQ(four.first[kAt] != untouched.first[kAt], info.moments > 0) << info.name;
  EXPECT_EQ(four.second[kAt] != untouched.second[kAt], info.moments > 1) << info.name;
  EXPECT_EQ(four.steps != untouched.steps, info.counts_steps) << info.name;
}

TEST(Optimizers, FourAtOnceAreFourSteps) {
  for (const OptimizerInfo& info : kOptimizers) {
    AllOptimizers::with(info.kind, []<class Optimizer>(std::type_identity<Optimizer>) {
      if constexpr (StepsTouchedRows<Optimizer>) expect_four_are_four_steps<Optimizer>();
    });
  }
}

TEST(Optimizers, EachKindHasItsStruct) {
  for (const OptimizerInfo& info : kOptimizers) {
    int calls = 0;
    AllOptimizers::with(info.kind, [&]<class Optimizer>(std::type_identity<Optimizer>) {
      ++calls;
      EXPECT_EQ(Optimizer::kind, info.kind);
    });
    EXPECT_EQ(calls, 1) << info.name;
  }
}

TEST(UpdateRows, AnUnusedSlotReadsNoRowInAnyLane) {
  constexpr int kDim = 32, kRows = 4;
  std::vector<float> users = numbers(2 * kDim, -1.0F), items = numbers(kRows * kDim, 0.5F);
  std::fill_n(items.begin(), kDim, std::numeric_limits<float>::infinity());  // row 0
  MfArgs args;
  args.users.weights = users.data();
  args.items.weights = items.data();
  args.optimizer = {0.125F, 0.01F};
  const ItemGradients gradients(Triple{1, 2, 3}, 0.5F);
  for (int lane = 0; lane < 8; ++lane) {
    const OneLane<8> lanes{lane};
    update_rows<kDim, ItemGradients::most, Sgd>(lanes, args, 1, user_row<kDim>(lanes, args, 1), gradients);
  }
  for (int k = kDim; k < 2 * kDim; ++k) EXPECT_TRUE(std::isfinite(users[static_cast<std::size_t>(k)])) << k;
  for (int k = kDim; k < kRows * kDim; ++k)
    EXPECT_TRUE(std::isfinite(items[static_cast<std::size_t>(k)])) << k;
}

TEST(CosineOfDifferences, IsTheCosineAndHidesNoNan) {
  const OneLane<1> lane{0};
  const TableView all;
  float a[32] = {}, b[32] = {}, c[32] = {}, d[32] = {};
  EXPECT_EQ(cosine_of_differences<32>(lane, all, a, b, c, d), 0.0F) << "of nothing";
  a[3] = 2;
  c[3] = d[5] = 1;
  EXPECT_FLOAT_EQ(cosine_of_differences<32>(lane, all, a, b, c, d), 1 / std::sqrt(2.0F));
  TableView but_last;
  but_last.last_is_one = true;
  a[31] = 5;
  EXPECT_FLOAT_EQ(cosine_of_differences<32>(lane, but_last, a, b, c, d), 1 / std::sqrt(2.0F));
  b[31] = kNan;
  EXPECT_TRUE(std::isnan(cosine_of_differences<32>(lane, all, a, b, c, d)));
}

}  // namespace
}  // namespace sllmr
