#include "models/layers/fm/fm.h"

#include <gmock/gmock.h>

#include <array>
#include <string>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// The layer in the form that LayerRun expects.
template <class Real>
struct FmLayer {
  using Saved = typename FactorizationMachine<Real>::Saved;
  FactorizationMachine<Real> layer;

  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass&, Saved* saved) const {
    return layer.forward(context, x, saved);
  }
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const {
    const Tensor<Real> d_x =
        slice_of(context, saved.x.rows(), saved.x.cols(),
                 std::vector<Real>(static_cast<std::size_t>(saved.x.size()), Real(7)));  // must not be seen
    layer.backward(context, saved, d_out, d_x, InputGradient::replace);
    return d_x;
  }
};

auto make_fm(int fields, int width) {
  return [=]<class Real>(Parameters<Real>&) {
    return FmLayer<Real>{FactorizationMachine<Real>("fm", fields, width)};
  };
}

/// {rows, fields, width}: widths around the CPU's blocks of 16 columns.
const std::vector<std::array<int, 3>> kFmSizes{{5, 7, 32}, {3, 2, 1}, {4, 1, 5}, {2, 3, 17}, {6, 4, 15}};

TEST(FactorizationMachine, GradientsAreThoseOfFiniteDifferences) {
  for (const auto& [rows, fields, width] : kFmSizes) {
    SCOPED_TRACE(testing::Message() << rows << " x " << fields << " x " << width);
    expect_right_gradients(make_fm(fields, width), {rows, fields * width});
  }
}

TEST(FactorizationMachine, SumsTheProductsOfAllPairs) {
  const Context context(Device::cpu, 2);
  for (const auto& [rows, fields, width] : kFmSizes) {
    const auto make = make_fm(fields, width);
    const LayerRun<double, decltype(make)> run(context, make, {rows, fields * width});
    std::vector<double> expected;
    for (int r = 0; r < rows; ++r) {
      const double* x = run.x().data() + r * run.x().stride();
      double sum = 0;
      for (int f = 0; f < fields; ++f) {
        for (int g = 0; g < f; ++g) {
          for (int d = 0; d < width; ++d) sum += x[f * width + d] * x[g * width + d];
        }
      }
      expected.push_back(sum);
    }
    EXPECT_TRUE(all_near(values_of(context, run.forward()), expected, {1e-13, 1e-13}));
  }
}

TEST(FactorizationMachine, AddsToWhatLiesThere) {
  const Context context(Device::cpu, 2);
  const FactorizationMachine<double> layer("fm", 3, 5);
  const Tensor<double> x = slice_of(context, 4, 15, random_numbers<double>(1, 60));
  const Tensor<double> d_out = Tensor<double>::from(context, 4, 1, random_numbers<double>(2, 4));
  const Tensor<double> alone(context, 4, 15);
  const std::vector<double> before = random_numbers<double>(3, 60);
  const Tensor<double> added = slice_of(context, 4, 15, before);
  FactorizationMachine<double>::Saved saved;
  layer.forward(context, x, &saved);
  layer.backward(context, saved, d_out, alone, InputGradient::replace);
  layer.backward(context, saved, d_out, added, InputGradient::add);
  std::vector<double> expected = values_of(context, alone);
  for (std::size_t k = 0; k < expected.size(); ++k) expected[k] += before[k];
  EXPECT_TRUE(all_near(values_of(context, added), expected, {1e-15, 1e-15}));
}

TEST(FactorizationMachine, FloatIsRightAndThreadsDoNotMatter) {
  expect_float_is_right(Context(Device::cpu, 2), make_fm(7, 32), {128, 224});
  expect_threads_do_not_matter(make_fm(7, 32), {128, 224});
}

TEST(FactorizationMachineCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  for (const auto& [rows, fields, width] : kFmSizes) {
    expect_float_is_right(Context(Device::cuda), make_fm(fields, width), {rows, fields * width});
  }
}

TEST(FactorizationMachine, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu, 1);
  EXPECT_THAT(error_of([] { FactorizationMachine<float>("fm", 0, 4); }), HasSubstr("at least 1"));
  EXPECT_THAT(error_of([] { FactorizationMachine<float>("fm", 4, 0); }), HasSubstr("at least 1"));
  const FactorizationMachine<float> layer("fm", 3, 4);
  EXPECT_THAT(error_of([&] { layer.forward(context, Tensor<float>(context, 2, 11), nullptr); }),
              HasSubstr("'fm': its input is [2 x 11], expected [2 x 12]"));
  FactorizationMachine<float>::Saved saved;
  layer.forward(context, Tensor<float>::zeros(context, 2, 12), &saved);
  const Tensor<float> right(context, 2, 1), d_x(context, 2, 12);
  EXPECT_THAT(error_of([&] {
                layer.backward(context, saved, Tensor<float>(context, 2, 2), d_x, InputGradient::replace);
              }),
              HasSubstr("output's gradient"));
  EXPECT_THAT(error_of([&] {
                layer.backward(context, saved, right, Tensor<float>(context, 3, 12), InputGradient::replace);
              }),
              HasSubstr("input's gradient"));
}

}  // namespace
}  // namespace sllmr
