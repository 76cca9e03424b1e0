#include "models/layers/batch_norm/batch_norm.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

auto make_norm(std::int64_t size) {
  return [=]<class Real>(Parameters<Real>& parameters) { return BatchNorm<Real>(parameters, "norm", size); };
}

TEST(BatchNorm, GradientsAreThoseOfFiniteDifferences) {
  // 600 rows are three chunks of sums on the CPU.
  for (const auto& [rows, cols] : {std::pair<std::int64_t, std::int64_t>{5, 3}, {2, 17}, {600, 2}}) {
    SCOPED_TRACE(testing::Message() << rows << " x " << cols);
    expect_right_gradients(make_norm(cols), {rows, cols});
  }
}

/// Column by column, in two passes.
struct Moments {
  double mean = 0, squares = 0;
};
Moments moments_of(const Tensor<double>& x, std::int64_t column) {
  Moments moments;
  const auto rows = static_cast<double>(x.rows());
  for (std::int64_t r = 0; r < x.rows(); ++r) moments.mean += x.data()[r * x.stride() + column] / rows;
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    const double deviation = x.data()[r * x.stride() + column] - moments.mean;
    moments.squares += deviation * deviation;
  }
  return moments;
}

TEST(BatchNorm, NormalisesByTheBatchAndMovesTheRunningStatistics) {
  const Context context(Device::cpu, 2);
  for (const std::int64_t rows : {std::int64_t{4}, std::int64_t{256}, std::int64_t{777}}) {
    constexpr std::int64_t kCols = 19;
    const auto make = make_norm(kCols);
    LayerRun<double, decltype(make)> run(context, make, {rows, kCols});
    const Parameters<double>& parameters = run.parameters();
    const double* weight = parameters.value(parameters.find("norm.weight"));
    const double* bias = parameters.value(parameters.find("norm.bias"));
    const double* running_mean = parameters.value(parameters.find("norm.running_mean"));
    const double* running_var = parameters.value(parameters.find("norm.running_var"));
    const std::vector<double> out = values_of(context, run.forward());
    for (std::int64_t c = 0; c < kCols; ++c) {
      const auto [mean, squares] = moments_of(run.x(), c);
      const double deviation = std::sqrt(squares / static_cast<double>(rows) + 1e-5);
      for (std::int64_t r = 0; r < rows; ++r) {
        const double x = run.x().data()[r * run.x().stride() + c];
        EXPECT_NEAR(out[static_cast<std::size_t>(r * kCols + c)],
                    weight[c] * (x - mean) / deviation + bias[c], 1e-12);
      }
      EXPECT_NEAR(running_mean[c], 0.1 * mean, 1e-14);
      EXPECT_NEAR(running_var[c], 0.9 + 0.1 * squares / static_cast<double>(rows - 1), 1e-14);
    }
    run.forward();
    const auto [mean, squares] = moments_of(run.x(), 0);
    EXPECT_NEAR(running_mean[0], 0.19 * mean, 1e-14) << "the second batch starts from the first";
  }
}

TEST(BatchNorm, UsesTheRunningStatisticsOutsideOfTraining) {
  const Context context(Device::cpu, 2);
  const auto make = make_norm(3);
  LayerRun<double, decltype(make)> run(context, make, {1, 3, {}});
  Parameters<double>& parameters = run.parameters();
  const std::vector<double> state_before = parameters.state().to_host(context);
  double* running_mean = parameters.value(parameters.find("norm.running_mean"));
  double* running_var = parameters.value(parameters.find("norm.running_var"));
  for (int c = 0; c < 3; ++c) {
    running_mean[c] = 0.3 * c;
    running_var[c] = 0.5 + c;
  }
  const std::vector<double> state = parameters.state().to_host(context);
  const std::vector<double> out = values_of(context, run.forward());
  for (int c = 0; c < 3; ++c) {
    const double normalised = (run.x().data()[c] - running_mean[c]) / std::sqrt(running_var[c] + 1e-5);
    EXPECT_NEAR(out[static_cast<std::size_t>(c)],
                parameters.value(0)[c] * normalised + parameters.value(1)[c], 1e-13);
  }
  EXPECT_EQ(parameters.state().to_host(context), state);
  EXPECT_NE(state, state_before);
}

TEST(BatchNorm, LargeMeansCancelNothing) {
  const Context context(Device::cpu, 2);
  Parameters<float> parameters;
  const BatchNorm<float> norm(parameters, "norm", 1);
  parameters.allocate(context, 1);
  std::vector<float> x(600);
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = 10000.0F + static_cast<float>(k % 2);
  norm.forward(context, Tensor<float>::from(context, 600, 1, x), {true, 1, 1}, nullptr);
  EXPECT_NEAR(parameters.value(parameters.find("norm.running_var"))[0], 0.9 + 0.1 * 150.0 / 599, 1e-6);
}

TEST(BatchNorm, FloatIsRightAndThreadsDoNotMatter) {
  for (const auto& [rows, cols] : {std::pair<std::int64_t, std::int64_t>{128, 200}, {1000, 33}}) {
    expect_float_is_right(Context(Device::cpu, 2), make_norm(cols), {rows, cols});
    expect_threads_do_not_matter(make_norm(cols), {rows, cols});
  }
}

TEST(BatchNormCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  for (const auto& [rows, cols] : {std::pair<std::int64_t, std::int64_t>{128, 200}, {1000, 33}}) {
    expect_float_is_right(Context(Device::cuda), make_norm(cols), {rows, cols});
  }
}

TEST(BatchNorm, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu, 2);
  Parameters<float> parameters;
  const BatchNorm<float> norm(parameters, "deep.0.norm", 3);
  parameters.allocate(context, 1);
  const auto forward = [&](std::int64_t rows, std::int64_t cols, bool training,
                           BatchNorm<float>::Saved* saved) {
    return error_of([&] {
      norm.forward(context, Tensor<float>::zeros(context, rows, cols), {training, 1, 1}, saved);
    });
  };
  BatchNorm<float>::Saved saved;
  EXPECT_THAT(forward(1, 3, true, nullptr),
              HasSubstr("'deep.0.norm': batch norm cannot train on a batch of 1"));
  EXPECT_THAT(forward(2, 3, false, &saved), HasSubstr("training passes only"));
  EXPECT_THAT(forward(2, 4, true, nullptr), HasSubstr("its input is [2 x 4], expected [2 x 3]"));
  EXPECT_EQ(forward(2, 3, true, &saved), "no error");
  EXPECT_THAT(error_of([&] { norm.backward(context, saved, Tensor<float>(context, 2, 2)); }),
              HasSubstr("its output's gradient is [2 x 2], expected [2 x 3]"));
}

}  // namespace
}  // namespace sllmr
