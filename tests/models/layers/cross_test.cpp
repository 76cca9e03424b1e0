#include "models/layers/cross_net/cross_net.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <type_traits>

#include "models/layers/cross_mix/cross_mix.h"
#include "models/layers/cross_v2/cross_v2.h"
#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

auto make_cross(std::int64_t size, int layers) {
  return [=]<class Real>(Parameters<Real>& parameters) {
    return CrossNet<Real>(parameters, "cross", size, layers);
  };
}
auto make_v2(std::int64_t size, int layers) {
  return [=]<class Real>(Parameters<Real>& parameters) {
    return CrossNetV2<Real>(parameters, "cross", size, layers);
  };
}
auto make_mix(std::int64_t size, const CrossMixOptions& options) {
  return [=]<class Real>(Parameters<Real>& parameters) {
    return CrossNetMix<Real>(parameters, "cross", "gate", size, options);
  };
}

/// One layer from the formula: next(x0, x, l), both [size].
using NaiveLayer =
    std::function<std::vector<double>(const std::vector<double>&, const std::vector<double>&, int)>;

template <class Make>
void expect_layers(const Make& make, const LayerInput& input, int layers,
                   const std::function<NaiveLayer(const Parameters<double>&)>& naive) {
  const Context context(Device::cpu, 2);
  LayerRun<double, Make> run(context, make, input);
  const NaiveLayer layer = naive(run.parameters());
  std::vector<double> expected;
  for (std::int64_t r = 0; r < input.rows; ++r) {
    const double* row = run.x().data() + r * run.x().stride();
    const std::vector<double> x0(row, row + input.cols);
    std::vector<double> x = x0;
    for (int l = 0; l < layers; ++l) x = layer(x0, x, l);
    expected.insert(expected.end(), x.begin(), x.end());
  }
  EXPECT_TRUE(all_near(values_of(context, run.forward()), expected, {1e-12, 1e-12}));
}

const double* value(const Parameters<double>& parameters, int layer, const char* what) {
  return parameters.value(parameters.find("cross." + std::to_string(layer) + "." + what));
}

TEST(CrossNet, GradientsAreThoseOfFiniteDifferences) {
  for (const int layers : {1, 2, 3, 8}) {
    SCOPED_TRACE(layers);
    expect_right_gradients(make_cross(5, layers), {4, 5});
  }
  expect_right_gradients(make_cross(18, 3), {300, 18});
}

TEST(CrossNet, IsItsFormula) {
  for (const int layers : {1, 3}) {
    expect_layers(make_cross(19, layers), {6, 19}, layers, [](const Parameters<double>& parameters) {
      return [&](const std::vector<double>& x0, const std::vector<double>& x, int l) {
        double product = 0;
        for (std::size_t d = 0; d < x.size(); ++d) product += x[d] * value(parameters, l, "weight")[d];
        std::vector<double> next(x.size());
        for (std::size_t d = 0; d < x.size(); ++d) {
          next[d] = x0[d] * product + value(parameters, l, "bias")[d] + x[d];
        }
        return next;
      };
    });
  }
}

TEST(CrossNetV2, GradientsAreThoseOfFiniteDifferences) {
  for (const int layers : {1, 2, 3}) {
    SCOPED_TRACE(layers);
    expect_right_gradients(make_v2(5, layers), {4, 5});
  }
  expect_right_gradients(make_v2(3, 2), {300, 3});
}

TEST(CrossNetV2, IsItsFormula) {
  expect_layers(make_v2(19, 3), {6, 19}, 3, [](const Parameters<double>& parameters) {
    return [&](const std::vector<double>& x0, const std::vector<double>& x, int l) {
      std::vector<double> next(x.size());
      for (std::size_t d = 0; d < x.size(); ++d) {
        double u = value(parameters, l, "bias")[d];
        for (std::size_t k = 0; k < x.size(); ++k)
          u += value(parameters, l, "weight")[d * x.size() + k] * x[k];
        next[d] = x0[d] * u + x[d];
      }
      return next;
    };
  });
}

TEST(CrossNetMix, GradientsAreThoseOfFiniteDifferences) {
  for (const CrossMixOptions& options :
       {CrossMixOptions{1, 1, 1}, CrossMixOptions{2, 3, 2}, CrossMixOptions{3, 4, 4}}) {
    SCOPED_TRACE(testing::Message() << options.layers << " layers, " << options.experts << " experts of rank "
                                    << options.rank);
    expect_right_gradients(make_mix(5, options), {4, 5});
  }
  expect_right_gradients(make_mix(3, {2, 2, 2}), {300, 3});
}

TEST(CrossNetMix, IsItsFormula) {
  for (const CrossMixOptions& options : {CrossMixOptions{1, 1, 1}, CrossMixOptions{2, 4, 3}}) {
    const auto experts = static_cast<std::size_t>(options.experts),
               rank = static_cast<std::size_t>(options.rank);
    expect_layers(make_mix(19, options), {6, 19}, options.layers, [&](const Parameters<double>& parameters) {
      return [&, experts, rank](const std::vector<double>& x0, const std::vector<double>& x, int l) {
        const std::size_t size = x.size();
        std::vector<double> next = x, gate(experts);
        double total = 0;
        for (std::size_t e = 0; e < experts; ++e) {
          double z = parameters.value(parameters.find("gate.bias"))[e];
          for (std::size_t d = 0; d < size; ++d) {
            z += parameters.value(parameters.find("gate.weight"))[e * size + d] * x[d];
          }
          total += gate[e] = std::exp(z);
        }
        for (std::size_t e = 0; e < experts; ++e) {
          std::vector<double> v(rank), core(rank);
          for (std::size_t i = 0; i < rank; ++i) {
            for (std::size_t d = 0; d < size; ++d)
              v[i] += value(parameters, l, "v")[(e * size + d) * rank + i] * x[d];
            v[i] = std::tanh(v[i]);
          }
          for (std::size_t i = 0; i < rank; ++i) {
            for (std::size_t j = 0; j < rank; ++j)
              core[i] += value(parameters, l, "c")[(e * rank + i) * rank + j] * v[j];
            core[i] = std::tanh(core[i]);
          }
          for (std::size_t d = 0; d < size; ++d) {
            double u = value(parameters, l, "bias")[d];
            for (std::size_t i = 0; i < rank; ++i)
              u += value(parameters, l, "u")[(e * size + d) * rank + i] * core[i];
            next[d] += gate[e] / total * x0[d] * u;
          }
        }
        return next;
      };
    });
  }
}

constexpr CrossMixOptions kMix{2, 4, 4};

TEST(CrossNets, FloatIsRightAndThreadsDoNotMatter) {
  const Context context(Device::cpu, 2);
  for (const LayerInput& input : {LayerInput{128, 224}, LayerInput{700, 30}}) {
    expect_float_is_right(context, make_cross(input.cols, 3), input, 1e-4);
    expect_float_is_right(context, make_v2(input.cols, 2), input, 1e-4);
    expect_float_is_right(context, make_mix(input.cols, kMix), input, 1e-4);
    expect_threads_do_not_matter(make_cross(input.cols, 3), input);
    expect_threads_do_not_matter(make_v2(input.cols, 2), input);
    expect_threads_do_not_matter(make_mix(input.cols, kMix), input);
  }
}

TEST(CrossNetsCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  for (const LayerInput& input : {LayerInput{128, 224}, LayerInput{700, 30}}) {
    expect_float_is_right(context, make_cross(input.cols, 3), input, 1e-4);
    expect_float_is_right(context, make_v2(input.cols, 2), input, 1e-4);
    expect_float_is_right(context, make_mix(input.cols, kMix), input, 1e-4);
  }
}

template <class Make>
void expect_refusals(const Make& make) {
  const Context context(Device::cpu, 2);
  Parameters<float> parameters;
  const auto layer = make(parameters);
  parameters.allocate(context, 1);
  typename std::remove_const_t<decltype(layer)>::Saved saved;
  EXPECT_THAT(error_of([&] { layer.forward(context, Tensor<float>(context, 2, 5), {}, nullptr); }),
              HasSubstr("layer 'cross': its input is [2 x 5], expected [2 x 4]"));
  layer.forward(context, Tensor<float>::zeros(context, 2, 4), {}, &saved);
  EXPECT_THAT(error_of([&] { layer.backward(context, saved, Tensor<float>(context, 1, 4)); }),
              HasSubstr("its output's gradient is [1 x 4], expected [2 x 4]"));
}

TEST(CrossNets, RefuseWhatDoesNotFit) {
  expect_refusals(make_cross(4, 2));
  expect_refusals(make_v2(4, 2));
  expect_refusals(make_mix(4, kMix));
  const auto error = [](const auto& make) {
    return error_of([&] {
      Parameters<float> parameters;
      make(parameters);
    });
  };
  EXPECT_THAT(error(make_cross(4, 0)), HasSubstr("'cross' has 0 layers"));
  EXPECT_THAT(error(make_cross(4, 9)), HasSubstr("'cross' has 9 layers; it takes 1 to 8"));
  EXPECT_THAT(error(make_cross(0, 1)), HasSubstr("'cross.0.weight' has an extent of 0"));
  EXPECT_THAT(error(make_v2(4, 0)), HasSubstr("'cross' has 0 layers"));
  EXPECT_THAT(error(make_v2(0, 1)), HasSubstr("'cross.0.weight' has an extent of 0"));
  EXPECT_THAT(error(make_mix(4, {9, 4, 4})), HasSubstr("'cross' has 9 layers"));
  EXPECT_THAT(error(make_mix(4, {2, 0, 4})), HasSubstr("'cross.0.u' has an extent of 0"));
  EXPECT_THAT(error(make_mix(4, {2, 4, 0})), HasSubstr("'cross.0.u' has an extent of 0"));
}

}  // namespace
}  // namespace sllmr
