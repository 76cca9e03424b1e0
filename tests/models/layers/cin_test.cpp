#include "models/layers/cin/cin.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

struct CinSize {
  int rows, fields, width;
  std::vector<int> sizes;
};

auto make_cin(const CinSize& size) {
  return [=]<class Real>(Parameters<Real>& parameters) {
    return Cin<Real>(parameters, "cin", size.fields, size.width, size.sizes);
  };
}

LayerInput input_of(const CinSize& size) {
  return {size.rows, std::int64_t{size.fields} * size.width};
}

/// The last two take several tiles on the CPU, with a smaller one at the end; so wide a field is one sample a
/// tile. Nine fields are more than products are written at a time.
const std::vector<CinSize> kCinSizes{{5, 3, 5, {4, 6, 3}}, {1, 1, 1, {1}},    {4, 2, 17, {3}},
                                     {3, 4, 2, {2, 5}},    {2, 9, 3, {4, 3}}, {90, 3, 8, {4, 6, 5}},
                                     {3, 2, 300, {4, 3}}};

TEST(Cin, GradientsAreThoseOfFiniteDifferences) {
  for (const CinSize& size : kCinSizes) {
    if (size.rows > 10 || size.width > 100) continue;  // a kink of some ReLU would be near
    SCOPED_TRACE(testing::Message() << size.rows << " x " << size.fields << " x " << size.width);
    expect_right_gradients(make_cin(size), input_of(size));
  }
}

/// X^k of one sample, [channels x width], as the paper writes it.
std::vector<double> next_layer(const Parameters<double>& parameters, int k, int out, const CinSize& size,
                               const std::vector<double>& hidden, const double* x0) {
  const std::string name = "cin." + std::to_string(k);
  const double* weight = parameters.value(parameters.find(name + ".weight"));
  const double* bias = parameters.value(parameters.find(name + ".bias"));
  const int channels = static_cast<int>(hidden.size()) / size.width;
  std::vector<double> y;
  for (int o = 0; o < out; ++o) {
    for (int d = 0; d < size.width; ++d) {
      double sum = bias[o];
      for (int h = 0; h < channels; ++h) {
        for (int m = 0; m < size.fields; ++m) {
          sum += weight[(o * channels + h) * size.fields + m] *
                 hidden[static_cast<std::size_t>(h * size.width + d)] * x0[m * size.width + d];
        }
      }
      y.push_back(std::max(sum, 0.0));
    }
  }
  return y;
}

/// Pooled channels against the recursion, after prepare(parameters).
template <class Prepare>
void expect_recursion(const CinSize& size, const Prepare& prepare) {
  const Context context(Device::cpu, 2);
  const auto make = make_cin(size);
  LayerRun<double, decltype(make)> run(context, make, input_of(size));
  prepare(run.parameters());
  std::vector<double> expected;
  for (int r = 0; r < size.rows; ++r) {
    const double* x0 = run.x().data() + r * run.x().stride();
    std::vector<double> hidden(x0, x0 + size.fields * size.width);
    for (std::size_t k = 0; k < size.sizes.size(); ++k) {
      const int out = size.sizes[k];
      std::vector<double> y = next_layer(run.parameters(), static_cast<int>(k), out, size, hidden, x0);
      const int fed = k + 1 < size.sizes.size() ? out / 2 : 0;
      for (int o = fed; o < out; ++o) {
        double sum = 0;
        for (int d = 0; d < size.width; ++d) sum += y[static_cast<std::size_t>(o * size.width + d)];
        expected.push_back(sum);
      }
      y.resize(static_cast<std::size_t>(fed * size.width));
      hidden = y;
    }
  }
  EXPECT_TRUE(all_near(values_of(context, run.forward()), expected, {1e-12, 1e-12}));
}

TEST(Cin, IsThePapersRecursion) {
  for (const CinSize& size : kCinSizes) {
    SCOPED_TRACE(testing::Message() << size.rows << " x " << size.fields << " x " << size.width);
    expect_recursion(size, [](Parameters<double>&) {});
  }
}

TEST(Cin, ChannelsThatAreZeroChangeNothing) {
  // Channels that no row of a tile activates are left out of its products.
  struct Case {
    std::vector<std::vector<int>> dead;  // channels, by layer
  };
  for (const Case& each : {Case{{{1}, {0, 2, 4}, {3}}},                 // hidden ones and pooled ones
                           Case{{{0, 1, 2}, {}, {}}},                   // nothing reaches the second layer
                           Case{{{3}, {0, 1, 2, 3, 4, 5, 6, 7}, {2}}},  // none of the second layer's
                           Case{{{}, {}, {0, 1, 2, 3}}}}) {             // the last layer has no gradient
    const auto silence = [&](Parameters<double>& parameters) {
      for (std::size_t k = 0; k < each.dead.size(); ++k) {
        double* bias = parameters.value(parameters.find("cin." + std::to_string(k) + ".bias"));
        for (const int channel : each.dead[k]) bias[channel] = -100;
      }
    };
    for (const CinSize& size : {CinSize{5, 3, 5, {6, 8, 4}}, CinSize{2, 9, 3, {6, 8, 4}}}) {
      SCOPED_TRACE(testing::Message()
                   << each.dead[0].size() << ' ' << each.dead[1].size() << ", " << size.fields << " fields");
      expect_recursion(size, silence);
      expect_right_gradients(make_cin(size), input_of(size), silence);
    }
  }
}

TEST(Cin, RowsDoNotMeet) {
  const Context context(Device::cpu, 2);
  const CinSize size{90, 3, 8, {4, 6, 5}};
  Parameters<double> parameters;
  const auto cin = make_cin(size)(parameters);
  parameters.allocate(context, 3);
  const std::vector<double> x = random_numbers<double>(1, 90 * 24), d = random_numbers<double>(2, 90 * 10);
  ASSERT_EQ(cin.outputs(), 10);
  Cin<double>::Saved saved;
  cin.forward(context, Tensor<double>::from(context, 90, 24, x), {}, &saved);
  const std::vector<double> d_x =
      values_of(context, cin.backward(context, saved, Tensor<double>::from(context, 90, 10, d)));
  const std::vector<double> together = parameters.gradients().to_host(context);
  std::vector<double> one_by_one, sum(together.size());
  for (std::size_t r = 0; r < 90; ++r) {
    cin.forward(context, Tensor<double>::from(context, 1, 24, std::span(x).subspan(r * 24, 24)), {}, &saved);
    const std::vector<double> of_row = values_of(
        context,
        cin.backward(context, saved, Tensor<double>::from(context, 1, 10, std::span(d).subspan(r * 10, 10))));
    const std::vector<double> gradients = parameters.gradients().to_host(context);
    std::ranges::transform(sum, gradients, sum.begin(), std::plus<>());
    one_by_one.insert(one_by_one.end(), of_row.begin(), of_row.end());
  }
  EXPECT_LT(norm_error(d_x, one_by_one), 1e-13);
  expect_parts_near(parameters, true, together, sum, 1e-13);
}

TEST(Cin, RowsWithoutAGradientAreLeftOut) {
  const Context context(Device::cpu, 2);
  constexpr std::size_t kRows = 90, kIn = 24, kOut = 10;
  Parameters<double> parameters;
  const auto cin = make_cin({kRows, 3, 8, {4, 6, 5}})(parameters);
  parameters.allocate(context, 3);
  // Of the tiles of 8 rows, the third has no gradient, the last but one in its first rows only.
  const auto is_out = [](std::size_t row) { return row / 8 == 2 || row / 4 == 20; };
  std::vector<double> x = random_numbers<double>(1, kRows * kIn), d = random_numbers<double>(2, kRows * kOut);
  std::vector<double> some_x, some_d;
  for (std::size_t row = 0; row < kRows; ++row) {
    const auto of_x = x.begin() + static_cast<std::ptrdiff_t>(row * kIn),
               of_d = d.begin() + static_cast<std::ptrdiff_t>(row * kOut);
    if (is_out(row)) {
      std::fill_n(of_d, kOut, 0.0);
    } else {
      some_x.insert(some_x.end(), of_x, of_x + kIn);
      some_d.insert(some_d.end(), of_d, of_d + kOut);
    }
  }
  x[17 * kIn] = std::nan("");  // of the third tile: 0 * NaN would be seen
  const auto backward = [&](const std::vector<double>& input, const std::vector<double>& gradient) {
    const auto rows = static_cast<std::int64_t>(input.size() / kIn);
    Cin<double>::Saved saved;
    cin.forward(context, Tensor<double>::from(context, rows, kIn, input), {}, &saved);
    return values_of(context,
                     cin.backward(context, saved, Tensor<double>::from(context, rows, kOut, gradient)));
  };
  const std::vector<double> d_x = backward(x, d);
  const std::vector<double> parameters_with_all = parameters.gradients().to_host(context);
  const std::vector<double> some_d_x = backward(some_x, some_d);
  expect_parts_near(parameters, true, parameters_with_all, parameters.gradients().to_host(context), 1e-13);
  std::vector<double> expected;
  auto next = some_d_x.begin();
  for (std::size_t row = 0; row < kRows; ++row) {
    expected.insert(expected.end(), kIn, 0.0);
    if (is_out(row)) continue;
    std::copy_n(next, kIn, expected.end() - kIn);
    next += kIn;
  }
  EXPECT_LT(norm_error(d_x, expected), 1e-13);

  backward(x, std::vector<double>(kRows * kOut));
  for (const double g : parameters.gradients().to_host(context)) EXPECT_EQ(g, 0);
}

TEST(Cin, FloatIsRightAndThreadsDoNotMatter) {
  const CinSize size{128, 7, 32, {100, 100, 100}};
  expect_float_is_right(Context(Device::cpu, 2), make_cin(size), input_of(size));
  expect_threads_do_not_matter(make_cin(size), input_of(size));
}

TEST(CinCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  for (const CinSize& size : kCinSizes)
    expect_float_is_right(Context(Device::cuda), make_cin(size), input_of(size));
  // More than one tile, with few channels: among more the kink of some ReLU would be near.
  const CinSize large{1200, 7, 32, {4, 3}};
  expect_float_is_right(Context(Device::cuda), make_cin(large), input_of(large));
}

TEST(Cin, AnEmptyBatchHasNoGradient) {
  const Context context(Device::cpu, 2);
  Parameters<float> parameters;
  const Cin<float> cin(parameters, "cin", 3, 4, {2, 3});
  parameters.allocate(context, 1);
  std::fill_n(parameters.gradients().data(), parameters.size(), 7.0F);
  Cin<float>::Saved saved;
  EXPECT_EQ(cin.forward(context, Tensor<float>(context, 0, 12), {}, &saved).rows(), 0);
  EXPECT_EQ(cin.backward(context, saved, Tensor<float>(context, 0, 4)).rows(), 0);
  for (const auto& part : parameters.parts()) {
    const float* gradient = parameters.gradient(parameters.find(part.name));
    EXPECT_TRUE(std::all_of(gradient, gradient + part.size, [](float g) { return g == 0; })) << part.name;
  }
}

TEST(Cin, ANanIsSeen) {
  const Context context(Device::cpu, 1);
  Parameters<float> parameters;
  const Cin<float> cin(parameters, "cin", 2, 3, {2});
  parameters.allocate(context, 1);
  const Tensor<float> x = Tensor<float>::from(context, 1, 6, std::vector<float>(6, std::nanf("")));
  for (const float y : cin.forward(context, x, {}, nullptr).to_host(context)) EXPECT_TRUE(std::isnan(y));
}

TEST(Cin, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu, 1);
  const auto error_with = [](int fields, int width, const std::vector<int>& sizes) {
    return error_of([&] {
      Parameters<float> parameters;
      Cin<float>(parameters, "cin", fields, width, sizes);
    });
  };
  EXPECT_THAT(error_with(0, 4, {2}), HasSubstr("at least 1"));
  EXPECT_THAT(error_with(3, 0, {2}), HasSubstr("at least 1"));
  EXPECT_THAT(error_with(3, 4, {}), HasSubstr("at least one layer"));
  EXPECT_THAT(error_with(3, 4, {2, 0}), HasSubstr("at least one channel"));
  EXPECT_THAT(error_with(3, 4, {3, 2}), HasSubstr("halves"));
  Parameters<float> parameters;
  const Cin<float> cin(parameters, "cin", 3, 4, {2, 3});
  parameters.allocate(context, 1);
  EXPECT_THAT(error_of([&] { cin.forward(context, Tensor<float>(context, 2, 11), {}, nullptr); }),
              HasSubstr("'cin': its input is [2 x 11], expected [2 x 12]"));
  Cin<float>::Saved saved;
  cin.forward(context, Tensor<float>::zeros(context, 2, 12), {}, &saved);
  EXPECT_THAT(error_of([&] { cin.backward(context, saved, Tensor<float>(context, 2, 5)); }),
              HasSubstr("output's gradient"));
}

}  // namespace
}  // namespace sllmr
