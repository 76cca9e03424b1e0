#include "models/layers/linear.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

auto make_linear(std::int64_t in, std::int64_t out) {
  return [=]<class Real>(Parameters<Real>& parameters) {
    return Linear<Real>(parameters, "layer", in, out, LinearInitial::standard);
  };
}

/// {rows, in, out}: outputs of 1 have their own kernels; 300 rows are more than one chunk of sums on the CPU.
const std::vector<std::array<std::int64_t, 3>> kLinearSizes{
    {5, 7, 3}, {1, 1, 1}, {6, 33, 1}, {3, 16, 17}, {300, 5, 2}};

TEST(Linear, GradientsAreThoseOfFiniteDifferences) {
  for (const auto& [rows, in, out] : kLinearSizes) {
    SCOPED_TRACE(testing::Message() << rows << " x " << in << " -> " << out);
    expect_right_gradients(make_linear(in, out), {rows, in});
  }
}

TEST(Linear, IsWeightTimesInputPlusBias) {
  const Context context(Device::cpu, 2);
  for (const auto& [rows, in, out] : kLinearSizes) {
    const auto make = make_linear(in, out);
    LayerRun<double, decltype(make)> run(context, make, {rows, in});
    const Parameters<double>& parameters = run.parameters();
    const double* weight = parameters.value(parameters.find("layer.weight"));
    const double* bias = parameters.value(parameters.find("layer.bias"));
    std::vector<double> expected;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < out; ++o) {
        double sum = bias[o];
        for (std::int64_t i = 0; i < in; ++i)
          sum += weight[o * in + i] * run.x().data()[r * run.x().stride() + i];
        expected.push_back(sum);
      }
    }
    EXPECT_TRUE(all_near(values_of(context, run.forward()), expected, {1e-13, 1e-13}));
  }
}

TEST(Linear, FloatIsRightAndThreadsDoNotMatter) {
  for (const auto& [rows, in, out] :
       {std::array<std::int64_t, 3>{128, 224, 200}, {160, 80, 1}, {1000, 33, 65}}) {
    const auto make = make_linear(in, out);
    expect_float_is_right(Context(Device::cpu, 2), make, {rows, in});
    expect_threads_do_not_matter(make, {rows, in});
  }
}

TEST(LinearCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  for (const auto& [rows, in, out] :
       {std::array<std::int64_t, 3>{128, 224, 200}, {160, 80, 1}, {1000, 33, 65}}) {
    expect_float_is_right(Context(Device::cuda), make_linear(in, out), {rows, in});
  }
}

TEST(Linear, StartsAsAsked) {
  const Context context(Device::cpu, 2);
  Parameters<double> parameters;
  const Linear<double> standard(parameters, "standard", 400, 100, LinearInitial::standard);
  const Linear<double> xavier(parameters, "xavier", 400, 100, LinearInitial::xavier);
  parameters.allocate(context, 5);
  const auto values = [&](const char* name) {
    const int part = parameters.find(name);
    const double* from = parameters.value(part);
    return std::vector<double>(from, from + parameters.parts()[static_cast<std::size_t>(part)].size);
  };
  const auto variance = [](const std::vector<double>& numbers) {
    double sum = 0;
    for (const double x : numbers) sum += x * x;
    return sum / static_cast<double>(numbers.size());
  };
  for (const char* name : {"standard.weight", "standard.bias"}) {
    for (const double x : values(name)) EXPECT_LE(std::fabs(x), 0.05);
  }
  EXPECT_NEAR(variance(values("standard.weight")), 0.05 * 0.05 / 3, 2e-5);
  EXPECT_GT(variance(values("standard.bias")), 4e-4);
  EXPECT_NEAR(variance(values("xavier.weight")), 2.0 / 500, 1e-4);
  EXPECT_EQ(variance(values("xavier.bias")), 0);
  EXPECT_EQ(parameters.parts()[0].shape, (std::vector<std::int64_t>{100, 400}));
}

TEST(Linear, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu, 2);
  Parameters<float> parameters;
  const Linear<float> layer(parameters, "deep.1", 4, 3, LinearInitial::standard);
  EXPECT_THAT(error_of([&] { Linear<float>(parameters, "none", 4, 0, LinearInitial::standard); }),
              HasSubstr("'none.weight' has an extent of 0"));
  EXPECT_THAT(error_of([&] { Linear<float>(parameters, "blind", 0, 4, LinearInitial::xavier); }),
              HasSubstr("'blind.weight' has an extent of 0"));
  parameters.allocate(context, 1);
  EXPECT_THAT(error_of([&] { layer.forward(context, Tensor<float>(context, 2, 5), {}, nullptr); }),
              HasSubstr("layer 'deep.1': its input is [2 x 5], expected [2 x 4]"));
  Linear<float>::Saved saved;
  layer.forward(context, Tensor<float>::zeros(context, 2, 4), {}, &saved);
  EXPECT_THAT(error_of([&] { layer.backward(context, saved, Tensor<float>(context, 3, 3)); }),
              HasSubstr("its output's gradient is [3 x 3], expected [2 x 3]"));
}

}  // namespace
}  // namespace sllmr
