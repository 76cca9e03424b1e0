#include "models/layers/mlp.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;
using DropoutAt = MlpOptions::DropoutAt;

auto make_mlp(std::int64_t in, const MlpOptions& options) {
  return [=]<class Real>(Parameters<Real>& parameters) { return Mlp<Real>(parameters, "deep", in, options); };
}

/// Every combination of batch norm, dropout and its place.
std::vector<MlpOptions> all_kinds(const std::vector<int>& hidden) {
  std::vector<MlpOptions> kinds;
  for (const bool norm : {false, true}) {
    kinds.push_back({.hidden = hidden, .batch_norm = norm});
    for (const DropoutAt at : {DropoutAt::input, DropoutAt::output}) {
      kinds.push_back({.hidden = hidden, .dropout = 0.3, .dropout_at = at, .batch_norm = norm});
    }
  }
  return kinds;
}

testing::Message describe(const MlpOptions& options) {
  return testing::Message() << "dropout " << options.dropout
                            << (options.dropout_at == DropoutAt::input ? " of inputs" : " of outputs")
                            << (options.batch_norm ? ", batch norm" : "");
}

TEST(Mlp, GradientsAreThoseOfFiniteDifferences) {
  for (const MlpOptions& options : all_kinds({6, 9, 5})) {
    SCOPED_TRACE(describe(options));
    expect_right_gradients(make_mlp(7, options), {8, 7});
  }
}

/// Layer by layer as the formulas say, with masks element by element.
std::vector<double> naive_mlp(const Parameters<double>& parameters, const MlpOptions& options,
                              const Tensor<double>& x, const Pass& pass) {
  const std::int64_t rows = x.rows();
  std::int64_t in = x.cols();
  std::vector<double> at;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < in; ++c) at.push_back(x.data()[r * x.stride() + c]);
  }
  const auto value = [&](const std::string& name) { return parameters.value(parameters.find(name)); };
  const auto drop = [&](std::vector<double>& values, std::int64_t cols, const std::string& block) {
    if (!pass.training || options.dropout == 0) return;
    const DropoutMask<double> mask(options.dropout, pass.seed, pass.step,
                                   static_cast<std::uint32_t>(parameters.find(block + ".weight")));
    for (std::size_t k = 0; k < values.size(); ++k) {
      const auto index = static_cast<std::int64_t>(k);
      values[k] = mask.kept(index / cols, index % cols) ? values[k] * mask.scale : 0;
    }
  };
  for (std::size_t l = 0; l < options.hidden.size(); ++l) {
    const std::string block = "deep." + std::to_string(l);
    const std::int64_t out = options.hidden[l];
    if (options.dropout_at == DropoutAt::input) drop(at, in, block);
    std::vector<double> next(static_cast<std::size_t>(rows * out));
    for (std::int64_t o = 0; o < out; ++o) {
      double mean = 0, squares = 0;
      const auto cell = [&](std::int64_t r) -> double& {
        return next[static_cast<std::size_t>(r * out + o)];
      };
      for (std::int64_t r = 0; r < rows; ++r) {
        cell(r) = value(block + ".bias")[o];
        for (std::int64_t i = 0; i < in; ++i) {
          cell(r) += value(block + ".weight")[o * in + i] * at[static_cast<std::size_t>(r * in + i)];
        }
        mean += cell(r) / static_cast<double>(rows);
      }
      for (std::int64_t r = 0; r < rows; ++r) squares += (cell(r) - mean) * (cell(r) - mean);
      double variance = squares / static_cast<double>(rows);
      if (options.batch_norm && !pass.training) {
        mean = value(block + ".norm.running_mean")[o];
        variance = value(block + ".norm.running_var")[o];
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        if (options.batch_norm) {
          cell(r) = (cell(r) - mean) / std::sqrt(variance + 1e-5) * value(block + ".norm.weight")[o] +
                    value(block + ".norm.bias")[o];
        }
        cell(r) = std::fmax(cell(r), 0.0);
      }
    }
    if (options.dropout_at == DropoutAt::output) drop(next, out, block);
    at = next;
    in = out;
  }
  return at;
}

TEST(Mlp, IsItsBlocksOneAfterTheOther) {
  const Context context(Device::cpu, 2);
  for (const bool training : {true, false}) {
    for (const MlpOptions& options : all_kinds({17, 8})) {
      SCOPED_TRACE(describe(options) << (training ? ", training" : ""));
      const auto make = make_mlp(11, options);
      const LayerInput input{40, 11, {training, 5, 9}};
      LayerRun<double, decltype(make)> run(context, make, input);
      for (const auto& part : run.parameters().parts()) {
        if (part.trained) continue;
        double* state = run.parameters().value(run.parameters().find(part.name));
        for (std::int64_t k = 0; k < part.size; ++k) state[k] = 0.5 + 0.1 * static_cast<double>(k);
      }
      const std::vector<double> expected = naive_mlp(run.parameters(), options, run.x(), input.pass);
      EXPECT_TRUE(all_near(values_of(context, run.forward()), expected, {1e-12, 1e-12}));
    }
  }
}

TEST(Mlp, BiasBelowBatchNormReachesTheRunningMean) {
  const Context context(Device::cpu, 2);
  const MlpOptions options{.hidden = {3}, .batch_norm = true};
  const auto make = make_mlp(2, options);
  LayerRun<double, decltype(make)> run(context, make, {20, 2});
  Parameters<double>& parameters = run.parameters();
  double* running_mean = parameters.value(parameters.find("deep.0.norm.running_mean"));
  double* bias = parameters.value(parameters.find("deep.0.bias"));
  run.forward();
  const std::vector<double> first(running_mean, running_mean + 3);
  std::fill_n(running_mean, 3, 0.0);
  for (int k = 0; k < 3; ++k) bias[k] += 10 + k;
  run.forward();
  for (int k = 0; k < 3; ++k)
    EXPECT_NEAR(running_mean[k] - first[static_cast<std::size_t>(k)], 0.1 * (10 + k), 1e-12);
}

TEST(Mlp, FloatIsRightAndThreadsDoNotMatter) {
  for (const MlpOptions& options : all_kinds({200, 80})) {
    SCOPED_TRACE(describe(options));
    expect_float_is_right(Context(Device::cpu, 2), make_mlp(224, options), {160, 224}, 1e-4);
    expect_threads_do_not_matter(make_mlp(224, options), {160, 224});
  }
}

TEST(MlpCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  for (const MlpOptions& options : all_kinds({200, 80})) {
    SCOPED_TRACE(describe(options));
    expect_float_is_right(Context(Device::cuda), make_mlp(224, options), {160, 224}, 1e-4);
  }
}

TEST(Mlp, NamesItsParameters) {
  Parameters<float> parameters;
  const Mlp<float> mlp(parameters, "deep", 4, {.hidden = {3, 2}, .batch_norm = true});
  EXPECT_EQ(mlp.out(), 2);
  std::vector<std::string> names;
  for (const auto& part : parameters.parts()) names.push_back(part.name);
  EXPECT_THAT(names,
              testing::ElementsAre("deep.0.weight", "deep.0.bias", "deep.0.norm.weight", "deep.0.norm.bias",
                                   "deep.0.norm.running_mean", "deep.0.norm.running_var", "deep.1.weight",
                                   "deep.1.bias", "deep.1.norm.weight", "deep.1.norm.bias",
                                   "deep.1.norm.running_mean", "deep.1.norm.running_var"));
}

TEST(Mlp, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu, 2);
  Parameters<float> parameters;
  EXPECT_THAT(error_of([&] { Mlp<float>(parameters, "deep", 4, {}); }),
              HasSubstr("'deep' has no hidden layers"));
  EXPECT_THAT(error_of([&] { Mlp<float>(parameters, "deep", 4, {.hidden = {0}}); }),
              HasSubstr("'deep.0.weight' has an extent of 0"));
  EXPECT_THAT(error_of([&] { Mlp<float>(parameters, "deep", 4, {.hidden = {5}, .dropout = 1}); }),
              HasSubstr("layer 'deep.0': dropout is 1"));
  const Mlp<float> mlp(parameters, "deep", 4, {.hidden = {5}});
  parameters.allocate(context, 1);
  Mlp<float>::Saved saved;
  EXPECT_THAT(error_of([&] { mlp.forward(context, Tensor<float>(context, 2, 3), {}, &saved); }),
              HasSubstr("its input is [2 x 3], expected [2 x 4]"));
  mlp.forward(context, Tensor<float>::zeros(context, 2, 4), {}, &saved);
  EXPECT_THAT(error_of([&] { mlp.backward(context, saved, Tensor<float>(context, 2, 4)); }),
              HasSubstr("its output's gradient is [2 x 4], expected [2 x 5]"));
}

}  // namespace
}  // namespace sllmr
