#include "kernels/tree_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/exec/memory.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

struct Sums {
  std::int64_t n;
  int parts, width;
  std::vector<std::int32_t> index;
  std::vector<float> from;
};

/// Rows of which each has between none and all of its parts.
Sums random_sums(std::int64_t n, int parts, int width) {
  TestNumbers numbers(3);
  Sums sums{n, parts, width, {}, {}};
  std::int32_t rows = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    for (int p = 0; p < parts; ++p) sums.index.push_back(numbers.id(0, 4) < k % 6 ? rows++ : -1);
  }
  sums.from = numbers.many(static_cast<std::size_t>(rows * width), -1.0F, 1.0F);
  return sums;
}

template <class Real>
std::vector<Real> sums_of(const Context& context, const Sums& sums) {
  const std::vector<Real> from(sums.from.begin(), sums.from.end());
  const Buffer<Real> device_from(context, std::span<const Real>(from));
  const Buffer<std::int32_t> index(context, std::span<const std::int32_t>(sums.index));
  Buffer<Real> out(context, static_cast<std::size_t>(sums.n * sums.width));
  run(context, TreeSums<Real>{.n = sums.n,
                              .parts = sums.parts,
                              .index = index.data(),
                              .from = {device_from.data(), std::ssize(from) / sums.width, sums.width},
                              .out = {out.data(), sums.n, sums.width}});
  return out.to_host(context);
}

std::vector<double> naive(const Sums& sums) {
  std::vector<double> out(static_cast<std::size_t>(sums.n * sums.width));
  for (std::size_t k = 0; k < sums.index.size(); ++k) {
    if (sums.index[k] < 0) continue;
    for (int c = 0; c < sums.width; ++c)
      out[k / static_cast<std::size_t>(sums.parts) * static_cast<std::size_t>(sums.width) +
          static_cast<std::size_t>(c)] +=
          static_cast<double>(sums.from[static_cast<std::size_t>(sums.index[k] * sums.width + c)]);
  }
  return out;
}

template <class Real>
void expect_right(const Context& context, double tolerance) {
  for (const int parts : {1, 2, 4, 8, 16, 32, 64}) {
    for (const int width : {1, 15, 16, 17, 33, 64}) {
      SCOPED_TRACE(testing::Message() << parts << " parts, width " << width);
      const Sums sums = random_sums(20, parts, width);
      EXPECT_LT(norm_error(sums_of<Real>(context, sums), naive(sums)), tolerance);
    }
  }
}

TEST(TreeSums, AreSums) {
  expect_right<double>(Context(Device::cpu, 2), 1e-14);
  expect_right<float>(Context(Device::cpu, 2), 1e-6);
}
TEST(TreeSumsCuda, AreSums) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right<double>(Context(Device::cuda), 1e-14);
  expect_right<float>(Context(Device::cuda), 1e-6);
}

/// Halves, quarters, ... that are summed first, by whoever has them.
void expect_halves_do_not_matter(const Context& context) {
  const Sums whole = random_sums(20, 16, 5);
  const std::vector<float> expected = sums_of<float>(context, whole);
  for (const int groups : {2, 4, 8, 16}) {
    const int each = whole.parts / groups;
    Sums first = whole, second{whole.n, groups, whole.width, {}, {}};
    first.n = whole.n * groups;
    first.parts = each;
    second.from = sums_of<float>(context, first);
    for (std::size_t k = 0; k < static_cast<std::size_t>(first.n); ++k) {
      bool any = false;
      for (int p = 0; p < each; ++p)
        any |= whole.index[k * static_cast<std::size_t>(each) + static_cast<std::size_t>(p)] >= 0;
      second.index.push_back(any ? static_cast<std::int32_t>(k) : -1);
    }
    EXPECT_EQ(sums_of<float>(context, second), expected) << groups;
  }
}

TEST(TreeSums, AreTheSameHoweverTheyAreShared) {
  expect_halves_do_not_matter(Context(Device::cpu, 1));
}
TEST(TreeSumsCuda, AreTheSameHoweverTheyAreShared) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_halves_do_not_matter(Context(Device::cuda));
}

TEST(TreeSums, LeaveOutWhatIsNotThere) {
  const Context context(Device::cpu, 1);
  const Sums sums{2, 4, 1, {-1, 0, -1, -1, -1, -1, -1, -1}, {-0.0F}};
  const std::vector<float> out = sums_of<float>(context, sums);
  EXPECT_TRUE(std::signbit(out[0])) << "-0 + 0 would be 0";
  EXPECT_EQ(out[1], 0.0F);
  EXPECT_FALSE(std::signbit(out[1]));
}

TEST(TreeSums, WantAPowerOfTwo) {
  const Context context(Device::cpu, 1);
  for (const int parts : {0, 3, 128, -2}) {
    EXPECT_THAT(error_of([&] { require_tree_parts(parts, "train.micro_batches"); }),
                testing::HasSubstr("train.micro_batches must be 1, 2, 4, 8, 16, 32 or 64, not " +
                                   std::to_string(parts)));
  }
}

}  // namespace
}  // namespace sllmr
