#include "kernels/dense/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "tests/support/compare.h"

namespace sllmr {
namespace {

template <class Real>
std::vector<Real> softmax_of(std::vector<Real> a) {
  softmax(a.data(), static_cast<int>(a.size()));
  return a;
}

TEST(Softmax, IsEachExponentialsShare) {
  const std::vector<double> out = softmax_of<double>({1, -0.5, 2.25, 0});
  double sum = 0;
  for (const double x : {1.0, -0.5, 2.25, 0.0}) sum += std::exp(x);
  EXPECT_NEAR(out[0], std::exp(1) / sum, 1e-15);
  EXPECT_NEAR(out[1], std::exp(-0.5) / sum, 1e-15);
  EXPECT_NEAR(out[2], std::exp(2.25) / sum, 1e-15);
  EXPECT_NEAR(out[3], 1 / sum, 1e-15);
  EXPECT_EQ(softmax_of<double>({7}), std::vector<double>{1});
}

TEST(Softmax, DoesNotOverflow) {
  EXPECT_EQ(softmax_of<float>({1000, 1000, -1000}), (std::vector<float>{0.5F, 0.5F, 0}));
}

TEST(Softmax, NanIsNotHidden) {
  for (std::size_t at = 0; at < 3; ++at) {
    std::vector<float> a = {1, 2, 3};
    a[at] = kNan;
    for (const float x : softmax_of(a)) EXPECT_TRUE(std::isnan(x)) << at;
  }
}

}  // namespace
}  // namespace sllmr
