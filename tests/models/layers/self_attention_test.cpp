#include "models/layers/self_attention/self_attention.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

struct AttentionSize {
  int rows, fields, width, heads;
  double dropout;
};

auto make_attention(const AttentionSize& size) {
  return [=]<class Real>(Parameters<Real>& parameters) {
    return SelfAttention<Real>(parameters, "attention", size.fields, size.width, size.heads, size.dropout);
  };
}

LayerInput input_of(const AttentionSize& size) {
  return {std::int64_t{size.rows} * size.fields, size.width};
}

const std::vector<AttentionSize> kAttentionSizes{
    {4, 3, 4, 2, 0.0}, {4, 3, 4, 2, 0.4}, {1, 1, 1, 1, 0.0}, {2, 7, 34, 2, 0.1}, {3, 5, 6, 1, 0.2}};

TEST(SelfAttention, GradientsAreThoseOfFiniteDifferences) {
  for (const AttentionSize& size : kAttentionSizes) {
    SCOPED_TRACE(testing::Message() << size.rows << " x " << size.fields << " x " << size.width);
    expect_right_gradients(make_attention(size), input_of(size));
  }
}

/// The definition, one number at a time; dropout by the mask of (row and head, query * fields + key).
std::vector<double> naive(const Parameters<double>& parameters, const AttentionSize& size,
                          const Tensor<double>& x, const DropoutMask<double>& mask) {
  const double* w = parameters.value(parameters.find("attention.in_proj.weight"));
  const double* b = parameters.value(parameters.find("attention.in_proj.bias"));
  const double* w_out = parameters.value(parameters.find("attention.out_proj.weight"));
  const double* b_out = parameters.value(parameters.find("attention.out_proj.bias"));
  const int width = size.width, dims = width / size.heads;
  const auto projected = [&](int token, int unit) {
    double sum = b[unit];
    for (int d = 0; d < width; ++d) sum += w[unit * width + d] * x.data()[token * x.stride() + d];
    return sum;
  };
  std::vector<double> out;
  for (int token = 0; token < size.rows * size.fields; ++token) {
    const int row = token / size.fields, query = token % size.fields, first = row * size.fields;
    std::vector<double> mixed(static_cast<std::size_t>(width));
    for (int head = 0; head < size.heads; ++head) {
      std::vector<double> weights;
      double total = 0;
      for (int key = 0; key < size.fields; ++key) {
        double score = 0;
        for (int d = head * dims; d < (head + 1) * dims; ++d) {
          score += projected(token, d) * projected(first + key, width + d);
        }
        weights.push_back(std::exp(score / std::sqrt(dims)));
        total += weights.back();
      }
      for (int key = 0; key < size.fields; ++key) {
        const bool kept = !mask.active() || mask.kept(row * size.heads + head, query * size.fields + key);
        if (!kept) continue;
        const double weight = weights[static_cast<std::size_t>(key)] / total * mask.scale;
        for (int d = head * dims; d < (head + 1) * dims; ++d) {
          mixed[static_cast<std::size_t>(d)] += weight * projected(first + key, 2 * width + d);
        }
      }
    }
    for (int o = 0; o < width; ++o) {
      double sum = b_out[o];
      for (int d = 0; d < width; ++d) sum += w_out[o * width + d] * mixed[static_cast<std::size_t>(d)];
      out.push_back(sum);
    }
  }
  return out;
}

TEST(SelfAttention, IsSoftmaxOfProductsTimesValues) {
  const Context context(Device::cpu, 2);
  for (const AttentionSize& size : kAttentionSizes) {
    for (const bool training : {true, false}) {
      SCOPED_TRACE(testing::Message() << size.rows << " x " << size.fields << ", training " << training);
      const auto make = make_attention(size);
      LayerInput input = input_of(size);
      input.pass.training = training;
      LayerRun<double, decltype(make)> run(context, make, input);
      const int part = run.parameters().find("attention.in_proj.weight");
      const DropoutMask<double> mask = Dropout<double>("", size.dropout, part).mask(input.pass);
      EXPECT_TRUE(all_near(values_of(context, run.forward()), naive(run.parameters(), size, run.x(), mask),
                           {1e-12, 1e-12}));
    }
  }
}

TEST(SelfAttention, MasksDependOnTheStepAndTheSeed) {
  const Context context(Device::cpu, 2);
  const AttentionSize size{64, 7, 8, 2, 0.3};
  const auto make = make_attention(size);
  const auto out = [&](std::uint64_t seed, std::uint32_t step) {
    LayerInput input = input_of(size);
    input.pass = {true, seed, step};
    return LayerRun<double, decltype(make)>(context, make, input).run().out;
  };
  EXPECT_EQ(out(1, 1), out(1, 1));
  EXPECT_NE(out(1, 1), out(1, 2));
  EXPECT_NE(out(1, 1), out(2, 1));
}

TEST(SelfAttention, LargeScoresDoNotOverflow) {
  const Context context(Device::cpu, 1);
  Parameters<float> parameters;
  const SelfAttention<float> layer(parameters, "attention", 3, 4, 2, 0);
  parameters.allocate(context, 1);
  const Tensor<float> x =
      Tensor<float>::from(context, 6, 4, std::vector<float>{1e3F, -2e3F, 3e3F, -4e3F, 5e3F, 6e3F,  //
                                                            1e3F, -2e3F, 3e3F, -4e3F, 5e3F, 6e3F,  //
                                                            1e3F, -2e3F, 3e3F, -4e3F, 5e3F, 6e3F,  //
                                                            1e3F, -2e3F, 3e3F, -4e3F, 5e3F, 6e3F});
  SelfAttention<float>::Saved saved;
  const Tensor<float> y = layer.forward(context, x, {}, &saved);
  for (const float value : y.to_host(context)) EXPECT_TRUE(std::isfinite(value));
  for (const float d : layer.backward(context, saved, y).to_host(context)) {
    EXPECT_TRUE(std::isfinite(d));
  }
}

TEST(SelfAttention, FloatIsRightAndThreadsDoNotMatter) {
  const AttentionSize size{128, 7, 64, 2, 0.1};
  expect_float_is_right(Context(Device::cpu, 2), make_attention(size), input_of(size));
  expect_threads_do_not_matter(make_attention(size), input_of(size));
}

TEST(SelfAttentionCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  for (const AttentionSize& size : kAttentionSizes)
    expect_float_is_right(context, make_attention(size), input_of(size));
  const AttentionSize large{128, 7, 64, 2, 0.1};
  expect_float_is_right(context, make_attention(large), input_of(large));
}

TEST(SelfAttention, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu, 1);
  const auto error_with = [](const AttentionSize& size) {
    return error_of([&] {
      Parameters<float> parameters;
      make_attention(size)(parameters);
    });
  };
  EXPECT_THAT(error_with({1, 0, 4, 2, 0.1}), HasSubstr("fields must be at least 1"));
  EXPECT_THAT(error_with({1, 3, 0, 2, 0.1}), HasSubstr("at least one unit"));
  EXPECT_THAT(error_with({1, 3, 4, 0, 0.1}), HasSubstr("heads do not divide"));
  EXPECT_THAT(error_with({1, 3, 4, 3, 0.1}), HasSubstr("3 heads do not divide a width of 4"));
  EXPECT_THAT(error_with({1, 3, 4, 2, 1.0}), HasSubstr("dropout"));
  Parameters<float> parameters;
  const SelfAttention<float> layer(parameters, "attention", 3, 4, 2, 0.1);
  parameters.allocate(context, 1);
  EXPECT_THAT(error_of([&] { layer.forward(context, Tensor<float>(context, 6, 5), {}, nullptr); }),
              HasSubstr("'attention': its input is [6 x 5], expected [6 x 4]"));
  EXPECT_THAT(error_of([&] { layer.forward(context, Tensor<float>(context, 7, 4), {}, nullptr); }),
              HasSubstr("not a multiple"));
  SelfAttention<float>::Saved saved;
  layer.forward(context, Tensor<float>::zeros(context, 6, 4), {}, &saved);
  EXPECT_THAT(error_of([&] { layer.backward(context, saved, Tensor<float>(context, 6, 5)); }),
              HasSubstr("output's gradient"));
}

}  // namespace
}  // namespace sllmr
