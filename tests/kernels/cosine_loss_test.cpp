#include "kernels/cosine_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "kernels/exec/memory.h"
#include "tests/support/compare.h"
#include "tests/support/finite_difference.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

constexpr float kAlikeScale = 0.7F;

struct AlikeWorld {
  std::int64_t rows = 7, width = 33;
  std::vector<float> v = TestNumbers(5).many(7 * 33, -1.0F, 1.0F);
  std::vector<AlikeRows> pairs = {{0, 5, 1.0F}, {3, 1, 0.25F}, {6, 4, 0.0F}};  // row 2 is in none
};

struct AlikeOutcome {
  std::vector<float> d_v;
  std::vector<std::vector<float>> slots;  // by pair
};

AlikeOutcome pull(const Context& context, const AlikeWorld& world) {
  const std::size_t first = 2, n = world.pairs.size();
  const auto v = Tensor<float>::from(context, world.rows, world.width, std::span<const float>(world.v));
  const std::vector<float> untouched(world.v.size(), 42.0F);
  const auto d_v = Tensor<float>::from(context, world.rows, world.width, std::span<const float>(untouched));
  const Buffer<AlikeRows> pairs(context, std::span<const AlikeRows>(world.pairs));
  Buffer<float> slots(context, (first + n) * GateColumns::stride);
  CosineLoss args{.v = v,
                  .pairs = pairs.data(),
                  .n = static_cast<std::int64_t>(n),
                  .scale = kAlikeScale,
                  .gate = {},
                  .first_slot = first,
                  .d_v = d_v};
  args.gate.slots = slots.data();
  args.gate.n_slots = static_cast<int>(first + n);
  run(context, args);
  AlikeOutcome out{d_v.to_host(context), {}};
  const std::vector<float> sums = slots.to_host(context);
  for (std::size_t k = first; k < first + n; ++k) {
    const auto begin = sums.begin() + static_cast<std::ptrdiff_t>(k * GateColumns::stride);
    out.slots.emplace_back(begin, begin + GateColumns::stride);
  }
  return out;
}

double cosine_of(const AlikeRows& pair, const std::vector<double>& v, std::size_t width) {
  const double* a = v.data() + static_cast<std::size_t>(pair.a) * width;
  const double* b = v.data() + static_cast<std::size_t>(pair.b) * width;
  double aa = 1e-8, bb = 1e-8, ab = 0;
  for (std::size_t d = 0; d < width; ++d) {
    aa += a[d] * a[d];
    bb += b[d] * b[d];
    ab += a[d] * b[d];
  }
  return ab / std::sqrt(aa * bb);
}

/// Gradients by finite differences in double precision.
void expect_right_pull(const Context& context) {
  const AlikeWorld world;
  const AlikeOutcome out = pull(context, world);
  std::vector<double> v(world.v.begin(), world.v.end());
  const auto width = static_cast<std::size_t>(world.width);
  const auto loss = [&] {
    double sum = 0;
    for (const AlikeRows& pair : world.pairs) {
      sum += static_cast<double>(pair.alpha) * (1 - cosine_of(pair, v, width));
    }
    return static_cast<double>(kAlikeScale) * sum;
  };
  std::vector<double> analytic(out.d_v.begin(), out.d_v.end());
  for (std::size_t d = 0; d < width; ++d) {
    EXPECT_EQ(analytic[2 * width + d], 42.0) << "a row of no pair";
    analytic[2 * width + d] = 0;
  }
  EXPECT_LT(gradient_error(v, analytic, loss), 1e-5);
  for (std::size_t k = 0; k < world.pairs.size(); ++k) {
    const std::vector<float>& slot = out.slots[k];
    const auto alpha = static_cast<double>(world.pairs[k].alpha);
    const double cosine = cosine_of(world.pairs[k], v, width);
    EXPECT_EQ(slot[GateColumns::pairs], 1.0F);
    EXPECT_EQ(static_cast<double>(slot[GateColumns::pair_alpha]), alpha);
    EXPECT_TRUE(near(static_cast<double>(slot[GateColumns::pair_hinge]), alpha * (1 - cosine), {1e-6}));
    EXPECT_TRUE(near(static_cast<double>(slot[GateColumns::pair_weight]), cosine, {1e-6}));
  }
}

TEST(CosineLoss, GradientsAndSumsAreRight) {
  expect_right_pull(Context(Device::cpu, 1));
  expect_right_pull(Context(Device::cpu, 3));
}

TEST(CosineLossCuda, GradientsAndSumsAreRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right_pull(Context(Device::cuda));
}

/// Vectors of zeros have no direction: the cosine is 0, and nothing becomes NaN.
TEST(CosineLoss, VectorsOfZerosStayFinite) {
  AlikeWorld world;
  std::fill_n(world.v.begin(), world.width, 0.0F);
  const AlikeOutcome out = pull(Context(Device::cpu, 1), world);
  for (const float x : out.d_v) EXPECT_TRUE(std::isfinite(x));
  EXPECT_EQ(out.slots[0][GateColumns::pair_weight], 0.0F);
}

TEST(CosineLoss, ANaNReachesBothRowsAndTheSum) {
  AlikeWorld world;
  world.v[5 * 33 + 8] = kNan;
  const AlikeOutcome out = pull(Context(Device::cpu, 1), world);
  EXPECT_TRUE(std::isnan(out.d_v[0]));
  EXPECT_TRUE(std::isnan(out.d_v[5 * 33]));
  EXPECT_TRUE(std::isnan(out.slots[0][GateColumns::pair_hinge]));
  EXPECT_TRUE(std::isfinite(out.d_v[3 * 33]));
}

}  // namespace
}  // namespace sllmr
