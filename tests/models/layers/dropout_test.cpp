#include "models/layers/dropout.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

constexpr Pass kDropoutPass{true, 7, 2};

/// Dropout of ones: 0 where dropped, the scale where kept.
template <class Real>
std::vector<Real> dropped_ones(const Context& context, const Dropout<Real>& dropout, std::int64_t rows,
                               std::int64_t cols, const Pass& pass) {
  const std::vector<Real> ones(static_cast<std::size_t>(rows * cols), 1);
  return values_of(context, dropout.forward(context, slice_of(context, rows, cols, ones), pass, nullptr));
}

TEST(Dropout, DropsWithItsProbabilityEverywhere) {
  const Context context(Device::cpu, 2);
  constexpr std::int64_t kRows = 2000, kCols = 37;  // no multiple of the eight columns of a draw
  for (const double p : {0.1, 0.5, 0.83}) {
    const std::vector<double> out =
        dropped_ones(context, Dropout<double>("d", p, 4), kRows, kCols, kDropoutPass);
    std::vector<double> of_column(kCols);
    double neighbours = 0;
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t c = 0; c < kCols; ++c) {
        const double x = out[static_cast<std::size_t>(r * kCols + c)];
        EXPECT_NEAR(x, x == 0 ? 0 : 1 / (1 - p), 1e-4);
        of_column[static_cast<std::size_t>(c)] += x == 0 ? 1.0 / kRows : 0;
        if (c > 0) neighbours += x == 0 && out[static_cast<std::size_t>(r * kCols + c - 1)] == 0 ? 1 : 0;
      }
    }
    const double deviation = std::sqrt(p * (1 - p) / kRows);
    for (const double rate : of_column) EXPECT_NEAR(rate, p, 5 * deviation);
    EXPECT_NEAR(neighbours / (kRows * (kCols - 1)), p * p, 0.01) << "neighbours are independent";
    double mean = 0;
    for (const double x : out) mean += x / static_cast<double>(out.size());
    EXPECT_NEAR(mean, 1, 5 * std::sqrt(p / (1 - p) / (kRows * kCols)));
  }
}

TEST(Dropout, MaskDependsOnSeedStepLayerRowAndColumnAlone) {
  const Context one(Device::cpu, 1);
  const Dropout<float> dropout("d", 0.5, 4);
  const std::vector<float> mask = dropped_ones(one, dropout, 10, 20, kDropoutPass);
  EXPECT_NE(mask, dropped_ones(one, dropout, 10, 20, {true, 8, 2})) << "seed";
  EXPECT_NE(mask, dropped_ones(one, dropout, 10, 20, {true, 7, 3})) << "step";
  EXPECT_NE(mask, dropped_ones(one, Dropout<float>("d", 0.5, 5), 10, 20, kDropoutPass)) << "layer";
  const Context two(Device::cpu, 2);
  const std::vector<float> larger = dropped_ones(two, dropout, 30, 41, kDropoutPass);
  for (std::size_t r = 0; r < 10; ++r) {
    for (std::size_t c = 0; c < 20; ++c) EXPECT_EQ(mask[r * 20 + c], larger[r * 41 + c]);
  }
}

TEST(Dropout, BackwardUsesTheSameMask) {
  const Context context(Device::cpu, 2);
  const Dropout<double> dropout("d", 0.3, 1);
  const std::vector<double> x = random_numbers<double>(1, 9 * 13), d = random_numbers<double>(2, 9 * 13);
  Dropout<double>::Saved saved;
  const std::vector<double> y =
      values_of(context, dropout.forward(context, slice_of(context, 9, 13, x), kDropoutPass, &saved));
  const std::vector<double> d_x =
      values_of(context, dropout.backward(context, saved, slice_of(context, 9, 13, d)));
  for (std::size_t k = 0; k < x.size(); ++k) EXPECT_NEAR(d_x[k], y[k] / x[k] * d[k], 1e-13);
}

TEST(Dropout, LetsEverythingThroughOutsideOfTraining) {
  const Context context(Device::cpu, 2);
  const Tensor<float> x = Tensor<float>::zeros(context, 3, 4);
  for (const auto& [p, training] : std::map<double, bool>{{0.5, false}, {0.0, true}}) {
    const Dropout<float> dropout("d", p, 1);
    Dropout<float>::Saved saved;
    EXPECT_EQ(dropout.forward(context, x, {training, 1, 1}, &saved).data(), x.data());
    EXPECT_EQ(dropout.backward(context, saved, x).data(), x.data());
  }
}

TEST(Dropout, RefusesWhatIsNoProbability) {
  for (const double p : {1.0, 1 - 0x1p-17, -0.1, std::nan("")}) {
    EXPECT_THAT(error_of([&] { Dropout<float>("deep.0", p, 1); }), HasSubstr("layer 'deep.0': dropout is"));
  }
  EXPECT_THAT(error_of([] { Dropout<float>("deep.0", 0.1, 1 << 24); }), HasSubstr("out of range"));
}

TEST(DropoutCuda, MaskIsThatOfTheCpu) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context cpu(Device::cpu, 2), cuda(Device::cuda);
  const Dropout<float> dropout("d", 0.4, 3);
  EXPECT_EQ(dropped_ones(cpu, dropout, 70, 45, kDropoutPass),
            dropped_ones(cuda, dropout, 70, 45, kDropoutPass));
  const std::vector<float> d = random_numbers<float>(2, 70 * 45);
  const auto way_back = [&](const Context& context) {
    Dropout<float>::Saved saved;
    dropout.forward(context, slice_of(context, 70, 45, d), kDropoutPass, &saved);
    return values_of(context, dropout.backward(context, saved, slice_of(context, 70, 45, d)));
  };
  EXPECT_EQ(way_back(cpu), way_back(cuda));
}

}  // namespace
}  // namespace sllmr
