// Running one layer in tests: its results and gradients, gradients against finite differences, machines and
// numbers of threads against one another.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "kernels/exec/tensor.h"
#include "models/layers/parameters.h"
#include "tests/models/parts.h"
#include "tests/support/compare.h"
#include "tests/support/finite_difference.h"
#include "tests/support/world.h"

namespace sllmr {

template <class Real>
std::vector<Real> random_numbers(std::uint64_t seed, std::int64_t n) {
  const std::vector<float> numbers = TestNumbers(seed).many(static_cast<std::size_t>(n), -1.0F, 1.0F);
  return {numbers.begin(), numbers.end()};
}

/// [rows x cols] as a slice of columns of a wider matrix, whose other columns are NaN.
template <class Real>
Tensor<Real> slice_of(const Context& context, std::int64_t rows, std::int64_t cols,
                      const std::vector<Real>& values) {
  constexpr std::int64_t kBefore = 2, kAfter = 3;
  const std::int64_t width = kBefore + cols + kAfter;
  std::vector<Real> wide(static_cast<std::size_t>(rows * width), std::numeric_limits<Real>::quiet_NaN());
  for (std::int64_t r = 0; r < rows; ++r) {
    std::copy_n(values.begin() + r * cols, cols, wide.begin() + r * width + kBefore);
  }
  return Tensor<Real>::from(context, rows, width, wide).columns(kBefore, cols);
}

/// The elements of any tensor.
template <class Real>
std::vector<Real> values_of(const Context& context, const Tensor<Real>& tensor) {
  if (tensor.contiguous()) return tensor.to_host(context);
  std::vector<Real> out;
  std::vector<Real> row(static_cast<std::size_t>(tensor.cols()));
  for (std::int64_t r = 0; r < tensor.rows(); ++r) {
    copy_to_host(context, row.data(), tensor.data() + r * tensor.stride(), row.size() * sizeof(Real));
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

/// What is fed to a layer of `cols` inputs.
struct LayerInput {
  std::int64_t rows = 0, cols = 0;
  Pass pass{true, 11, 3};
};

template <class Real>
struct LayerResult {
  std::vector<Real> out, d_x, gradients, state;  // gradients: the whole slab

  bool operator==(const LayerResult&) const = default;
};

/// A layer with parameters that are all drawn from U(-1, 1), whatever they start from.
/// make(Parameters<Real>&) returns the layer, for both kinds of Real.
template <class Real, class Make>
class LayerRun {
 public:
  using Layer = decltype(std::declval<const Make&>()(std::declval<Parameters<Real>&>()));

  LayerRun(const Context& context, const Make& make, const LayerInput& input)
      : context_(context), input_(input), layer_(make(parameters_)) {
    parameters_.allocate(context, 1);
    const std::vector<Real> drawn = random_numbers<Real>(2, parameters_.size());
    parameters_.values().assign(context, std::span<const Real>(drawn));
    x_ = slice_of(context, input.rows, input.cols, random_numbers<Real>(3, input.rows * input.cols));
  }

  Parameters<Real>& parameters() { return parameters_; }
  const Layer& layer() const { return layer_; }
  const Tensor<Real>& x() const { return x_; }

  Tensor<Real> forward() const { return layer_.forward(context_, x_, input_.pass, nullptr); }

  /// One forward and one backward pass for sum(weights_of(out) * out).
  LayerResult<Real> run() {
    typename Layer::Saved saved;
    LayerResult<Real> result;
    const Tensor<Real> out = layer_.forward(context_, x_, input_.pass, &saved);
    result.out = values_of(context_, out);
    const Tensor<Real> d_out = slice_of(context_, out.rows(), out.cols(), weights_of(out));
    result.d_x = values_of(context_, layer_.backward(context_, saved, d_out));
    result.gradients = parameters_.gradients().to_host(context_);
    result.state = parameters_.state().to_host(context_);
    return result;
  }

  static std::vector<Real> weights_of(const Tensor<Real>& out) { return random_numbers<Real>(4, out.size()); }

 private:
  const Context& context_;
  LayerInput input_;
  Parameters<Real> parameters_;
  Layer layer_;
  Tensor<Real> x_;
};

/// Every parameter and the input against finite differences, after prepare(parameters); forward gives the
/// same whether it is saved or not.
template <class Make, class Prepare>
void expect_right_gradients(const Make& make, const LayerInput& input, const Prepare& prepare) {
  const Context context(Device::cpu, 1);
  LayerRun<double, Make> layer(context, make, input);
  Parameters<double>& parameters = layer.parameters();
  prepare(parameters);
  std::fill_n(parameters.gradients().data(), parameters.size(), 7.0);  // must not be seen again
  const LayerResult<double> result = layer.run();
  EXPECT_EQ(values_of(context, layer.forward()), result.out) << "forward without saving";

  const std::vector<double> weights = layer.weights_of(layer.forward());
  const auto loss = [&] {
    const std::vector<double> out = values_of(context, layer.forward());
    double sum = 0;
    for (std::size_t k = 0; k < out.size(); ++k) sum += weights[k] * out[k];
    return sum;
  };
  for (const auto& part : parameters.parts()) {
    if (!part.trained) continue;
    const std::span<double> values(parameters.values().data() + part.offset,
                                   static_cast<std::size_t>(part.size));
    const std::span<const double> analytic(result.gradients.data() + part.offset, values.size());
    EXPECT_LT(gradient_error(values, analytic, loss), kGradientTolerance) << part.name;
  }
  double error = 0;
  for (std::int64_t r = 0; r < input.rows; ++r) {
    const auto cols = static_cast<std::size_t>(input.cols);
    const std::span<const double> analytic(result.d_x.data() + r * input.cols, cols);
    error =
        std::max(error, gradient_error({layer.x().data() + r * layer.x().stride(), cols}, analytic, loss));
  }
  EXPECT_LT(error, kGradientTolerance) << "input";
}

template <class Make>
void expect_right_gradients(const Make& make, const LayerInput& input) {
  expect_right_gradients(make, input, [](Parameters<double>&) {});
}

/// float on `context` against double on the CPU.
template <class Make>
void expect_float_is_right(const Context& context, const Make& make, const LayerInput& input,
                           double tolerance = 2e-5) {
  const Context cpu(Device::cpu, 2);
  LayerRun<double, Make> layer(cpu, make, input);
  const LayerResult<double> reference = layer.run();
  const LayerResult<float> result = LayerRun<float, Make>(context, make, input).run();
  EXPECT_LT(norm_error(result.out, reference.out), tolerance);
  EXPECT_LT(norm_error(result.d_x, reference.d_x), tolerance);
  expect_parts_near(layer.parameters(), true, result.gradients, reference.gradients, tolerance);
  expect_parts_near(layer.parameters(), false, result.state, reference.state, tolerance);
}

/// One number of threads against another, bit by bit.
template <class Make>
void expect_threads_do_not_matter(const Make& make, const LayerInput& input) {
  const auto run = [&](int threads) {
    const Context context(Device::cpu, threads);
    return LayerRun<float, Make>(context, make, input).run();
  };
  EXPECT_TRUE(run(1) == run(2));
  EXPECT_TRUE(run(2) == run(2)) << "repeatable";
}

}  // namespace sllmr
