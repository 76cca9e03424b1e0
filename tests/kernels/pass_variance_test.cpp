#include "kernels/dense/pass_variance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

/// Of each row, logits [passes][rows].
template <class Real>
std::vector<Real> variances(const Context& context, const std::vector<std::vector<Real>>& logits) {
  const auto rows = static_cast<std::int64_t>(logits[0].size());
  const Tensor<Real> mean(context, rows, 1), variance(context, rows, 1);
  for (std::size_t k = 0; k < logits.size(); ++k) {
    const Buffer<Real> pass(context, std::span<const Real>(logits[k]));
    run(context, AddPass<Real>{.logits = Matrix<const Real>(pass.data(), rows, 1),
                               .pass = static_cast<int>(k),
                               .passes = static_cast<int>(logits.size()),
                               .mean = mean,
                               .variance = variance});
    context.synchronize();
  }
  return variance.to_host(context);
}

/// By its definition, in two goes.
template <class Real>
std::vector<double> reference(const std::vector<std::vector<Real>>& logits) {
  const auto passes = static_cast<double>(logits.size());
  std::vector<double> out(logits[0].size());
  for (std::size_t row = 0; row < out.size(); ++row) {
    const auto p = [&](const std::vector<Real>& pass) {
      return 1 / (1 + std::exp(-static_cast<double>(pass[row])));
    };
    double mean = 0, squares = 0;
    for (const auto& pass : logits) mean += p(pass) / passes;
    for (const auto& pass : logits) squares += (p(pass) - mean) * (p(pass) - mean);
    out[row] = 4 * squares / passes;
  }
  return out;
}

template <class Real>
void expect_reference(const Context& context, Tolerance tolerance) {
  TestNumbers numbers(5);
  for (const std::size_t passes : {2, 3, 8, 64}) {
    std::vector<std::vector<Real>> logits(passes, std::vector<Real>(301));
    for (std::size_t row = 0; row < 301; ++row) {
      // From rows whose passes all but agree to such as lie at both ends.
      const Real spread = std::pow(Real(10), static_cast<Real>(numbers.in(-2, 2)));
      for (auto& pass : logits) pass[row] = spread * static_cast<Real>(numbers.in(-1, 1));
    }
    const std::vector<Real> out = variances(context, logits);
    EXPECT_TRUE(all_near(out, reference(logits), tolerance)) << passes << " passes";
    for (const Real x : out) EXPECT_TRUE(x >= 0 && x <= 1) << x;
  }
}

void expect_by_hand(const Context& context) {
  const float three = std::log(3.0F);  // p = 3/4
  const std::vector<float> out = variances<float>(
      context, {{0, -1000, 2.5F, kNan, 0, kInfinity}, {three, 1000, 2.5F, 0, kNan, -kInfinity}});
  EXPECT_NEAR(out[0], 4 * 1.0F / 64, 1e-7F);  // the mean is 5/8, each is 1/8 off
  EXPECT_EQ(out[1], 1.0F);
  EXPECT_EQ(out[2], 0.0F);
  EXPECT_TRUE(std::isnan(out[3]));
  EXPECT_TRUE(std::isnan(out[4]));
  EXPECT_EQ(out[5], 1.0F);
}

// Float: sigmoid is within 3e-7 of p (kernels/exec/math.h), and differences of two of them are squared.
constexpr Tolerance kFloat{1e-6, 1e-4}, kDouble{1e-14, 1e-10};

TEST(PassVariance, IsItsDefinition) {
  for (const int threads : {1, 2}) {
    const Context context(Device::cpu, threads);
    expect_reference<float>(context, kFloat);
    expect_reference<double>(context, kDouble);
    expect_by_hand(context);
  }
}

TEST(PassVarianceCuda, IsItsDefinition) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  expect_reference<float>(context, kFloat);
  expect_reference<double>(context, kDouble);
  expect_by_hand(context);
}

}  // namespace
}  // namespace sllmr
