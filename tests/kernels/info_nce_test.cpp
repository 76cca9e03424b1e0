#include "kernels/info_nce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "kernels/dense/leaky_relu.h"
#include "kernels/exec/memory.h"
#include "kernels/unit_rows.h"
#include "tests/support/compare.h"
#include "tests/support/finite_difference.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

constexpr float kNceScale = 0.3F, kTau = 0.2F;

struct NceWorld {
  std::int64_t anchors = 5, candidates = 70;
  std::vector<float> cosines = TestNumbers(7).many(5 * 70, -1.0F, 1.0F);
  std::vector<Id> own = {69, 0, 33, 33, 2};
};

struct NceOutcome {
  std::vector<float> gradients, losses, cosines;
};

NceOutcome contrast(const Context& context, const NceWorld& world, const Id* own, float tau = kTau) {
  const std::size_t n = static_cast<std::size_t>(world.anchors), first = 3;
  const auto c =
      Tensor<float>::from(context, world.anchors, world.candidates, std::span<const float>(world.cosines));
  Buffer<float> slots(context, (first + n) * GateColumns::stride);
  InfoNce args{.cosines = c,
               .own = own,
               .first_own = 4,
               .temperature = tau,
               .scale = kNceScale,
               .gate = {},
               .first_slot = first,
               .loss_column = GateColumns::pair_hinge,
               .cosine_column = GateColumns::active};
  args.gate.slots = slots.data();
  args.gate.n_slots = static_cast<int>(first + n);
  run(context, args);
  NceOutcome out{c.to_host(context), {}, {}};
  const std::vector<float> sums = slots.to_host(context);
  for (std::size_t k = first; k < first + n; ++k) {
    out.losses.push_back(sums[k * GateColumns::stride + GateColumns::pair_hinge]);
    out.cosines.push_back(sums[k * GateColumns::stride + GateColumns::active]);
  }
  return out;
}

/// Gradients by finite differences in double precision, of anchors whose candidates are listed and not.
void expect_right_contrast(const Context& context) {
  const NceWorld world;
  const Buffer<Id> listed(context, std::span<const Id>(world.own));
  for (const bool lists : {true, false}) {
    const NceOutcome out = contrast(context, world, lists ? listed.data() : nullptr);
    const auto own = [&](std::size_t r) { return lists ? static_cast<std::size_t>(world.own[r]) : 4 + r; };
    std::vector<double> c(world.cosines.begin(), world.cosines.end());
    const auto n = static_cast<std::size_t>(world.candidates);
    const auto loss_of = [&](std::size_t r) {
      double sum = 0;
      for (std::size_t k = 0; k < n; ++k) sum += std::exp(c[r * n + k] / static_cast<double>(kTau));
      return std::log(sum) - c[r * n + own(r)] / static_cast<double>(kTau);
    };
    const auto loss = [&] {
      double sum = 0;
      for (std::size_t r = 0; r < world.own.size(); ++r) sum += loss_of(r);
      return static_cast<double>(kNceScale) * sum;
    };
    EXPECT_LT(gradient_error(c, std::vector<double>(out.gradients.begin(), out.gradients.end()), loss), 1e-5);
    for (std::size_t r = 0; r < world.own.size(); ++r) {
      EXPECT_TRUE(near(static_cast<double>(out.losses[r]), loss_of(r), {0, 1e-5}));
      EXPECT_EQ(out.cosines[r], world.cosines[r * n + own(r)]);
    }
  }
}

TEST(InfoNce, GradientsAndSumsAreRight) {
  expect_right_contrast(Context(Device::cpu, 1));
  expect_right_contrast(Context(Device::cpu, 3));
}
TEST(InfoNceCuda, GradientsAndSumsAreRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right_contrast(Context(Device::cuda));
}

TEST(InfoNce, TheLeastTemperatureStaysFinite) {
  NceWorld world;
  world.cosines.assign(world.cosines.size(), -1.0F);
  world.cosines[1] = 1.0F;
  for (const float each : contrast(Context(Device::cpu, 1), world, nullptr, 0.05F).gradients) {
    EXPECT_TRUE(std::isfinite(each));
  }
}

TEST(InfoNce, ANaNReachesItsRowAndTheSum) {
  NceWorld world;
  world.cosines[70 + 9] = kNan;
  const NceOutcome out = contrast(Context(Device::cpu, 1), world, nullptr);
  EXPECT_TRUE(std::isnan(out.losses[1]));
  for (std::size_t k = 70; k < 140; ++k) EXPECT_TRUE(std::isnan(out.gradients[k]));
  EXPECT_TRUE(std::isfinite(out.losses[0]));
}

/// Rows of a slice of columns, picked and put back, against finite differences in double precision.
void expect_right_units(const Context& context) {
  constexpr std::int64_t kRows = 4, kWidth = 37, kPicked = 3;
  const std::vector<Id> rows = {2, 0, 3}, place = {1, 7, 0, 2};  // row 1 is not picked
  std::vector<float> wide = TestNumbers(3).many(kRows * (kWidth + 5), -1.0F, 1.0F);
  const auto x = Tensor<float>::from(context, kRows, kWidth + 5, std::span<const float>(wide));
  const std::vector<float> weights = TestNumbers(4).many(kPicked * kWidth, -1.0F, 1.0F);
  const auto d_unit = Tensor<float>::from(context, kPicked, kWidth, std::span<const float>(weights));
  const Buffer<Id> of_rows(context, std::span<const Id>(rows)), of_place(context, std::span<const Id>(place));
  const Tensor<float> unit(context, kPicked, kWidth), scale(context, kPicked, 1), d_x(context, kRows, kWidth);
  run(context,
      UnitRows{.x = x.columns(2, kWidth), .rows = of_rows.data(), .unit = unit, .scale = scale.data()});
  run(context,
      UnitRowsBackward{
          .unit = unit, .d_unit = d_unit, .scale = scale.data(), .place = of_place.data(), .d_x = d_x});

  std::vector<double> from;
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t d = 0; d < kWidth; ++d) {
      from.push_back(static_cast<double>(wide[r * (kWidth + 5) + 2 + d]));
    }
  }
  const auto units = [&] {
    std::vector<double> out;
    for (const Id row : rows) {
      const double* at = from.data() + row * kWidth;
      double square = 1e-8;
      for (std::size_t d = 0; d < kWidth; ++d) square += at[d] * at[d];
      for (std::size_t d = 0; d < kWidth; ++d) out.push_back(at[d] / std::sqrt(square));
    }
    return out;
  };
  EXPECT_TRUE(all_near(unit.to_host(context), units(), {1e-6}));
  const auto loss = [&] {
    double sum = 0;
    const std::vector<double> now = units();
    for (std::size_t k = 0; k < now.size(); ++k) sum += static_cast<double>(weights[k]) * now[k];
    return sum;
  };
  const std::vector<float> gradient = d_x.to_host(context);
  EXPECT_LT(gradient_error(from, std::vector<double>(gradient.begin(), gradient.end()), loss), 1e-5);
}

TEST(UnitRows, ForwardAndBackwardAreRight) {
  expect_right_units(Context(Device::cpu, 1));
  expect_right_units(Context(Device::cpu, 3));
}
TEST(UnitRowsCuda, ForwardAndBackwardAreRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right_units(Context(Device::cuda));
}

TEST(UnitRows, RowsOfZerosStayFiniteAndNaNsPass) {
  const Context context(Device::cpu, 1);
  const std::vector<float> numbers = {0, 0, 1, kNan};
  const auto x = Tensor<float>::from(context, 2, 2, std::span<const float>(numbers));
  const Tensor<float> unit(context, 2, 2), scale(context, 2, 1);
  run(context, UnitRows{.x = x, .rows = nullptr, .unit = unit, .scale = scale.data()});
  const std::vector<float> out = unit.to_host(context);
  EXPECT_EQ(out[0], 0.0F);
  EXPECT_TRUE(std::isnan(out[2]) && std::isnan(out[3]));
}

template <class Real>
void expect_right_leaky_relu(const Context& context) {
  const std::vector<Real> numbers = {-2, 3, 0, -0.5, std::numeric_limits<Real>::quiet_NaN(), 1};
  const auto x = Tensor<Real>::from(context, 2, 3, std::span<const Real>(numbers));
  const std::vector<Real> ones(6, Real(2));
  const auto d = Tensor<Real>::from(context, 2, 3, std::span<const Real>(ones));
  run(context, LeakyRelu<Real>{.x = x, .slope = Real(0.25), .out = x});
  run(context, LeakyReluBackward<Real>{.out = x, .slope = Real(0.25), .d = d});
  const std::vector<Real> out = x.to_host(context), gradient = d.to_host(context);
  const std::vector<Real> expected = {-0.5, 3, 0, -0.125}, slopes = {0.5, 2, 0.5, 0.5};
  for (std::size_t k = 0; k < expected.size(); ++k) {
    EXPECT_EQ(out[k], expected[k]);
    EXPECT_EQ(gradient[k], slopes[k]);
  }
  EXPECT_TRUE(std::isnan(out[4]));
  EXPECT_EQ(gradient[5], Real(2));
}

TEST(LeakyRelu, ForwardAndBackwardAreRight) {
  expect_right_leaky_relu<float>(Context(Device::cpu, 1));
  expect_right_leaky_relu<double>(Context(Device::cpu, 2));
}
TEST(LeakyReluCuda, ForwardAndBackwardAreRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right_leaky_relu<float>(Context(Device::cuda));
}

}  // namespace
}  // namespace sllmr
