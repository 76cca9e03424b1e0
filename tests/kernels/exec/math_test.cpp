// The functions that loops vectorise, against the library's in double precision.
#include "kernels/exec/math.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/compare.h"

namespace sllmr {
namespace {

TEST(Math, ExpIsWithinItsBound) {
  for (float x = -87.0F; x <= 87.0F; x += 0.0137F) {
    const double expected = std::exp(static_cast<double>(x));
    EXPECT_LE(std::fabs(static_cast<double>(exp_of(x)) - expected), 3e-7 * expected) << x;
  }
  EXPECT_EQ(exp_of(0.0F), 1.0F);
  EXPECT_EQ(exp_of(-1000.0F), 0.0F);
  EXPECT_EQ(exp_of(-kInfinity), 0.0F);
  EXPECT_EQ(exp_of(1000.0F), exp_of(87.0F));
  EXPECT_TRUE(std::isnan(exp_of(kNan)));
}

TEST(Math, LogIsWithinItsBound) {
  const auto expect_close = [](float x) {
    const double expected = std::log(static_cast<double>(x));
    EXPECT_LE(std::fabs(static_cast<double>(log_of(x)) - expected), 3e-7 * std::fabs(expected)) << x;
  };
  for (int k = -12500; k <= 12700; ++k) expect_close(std::exp2(0.01F * static_cast<float>(k)));
  for (int k = -1000; k <= 1000; ++k) expect_close(1.0F + 1e-4F * static_cast<float>(k));  // nearly 0 there
  EXPECT_EQ(log_of(1.0F), 0.0F);
  EXPECT_EQ(log_of(0.0F), -kInfinity);
  EXPECT_EQ(log_of(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(log_of(-1.0F)));
  EXPECT_TRUE(std::isnan(log_of(-kInfinity)));
  EXPECT_TRUE(std::isnan(log_of(kNan)));
}

TEST(Math, Log1pIsWithinItsBound) {
  for (float x = 1.0F; x > 1e-30F; x *= 0.97F) {
    const double expected = std::log1p(static_cast<double>(x));
    EXPECT_LE(std::fabs(static_cast<double>(log1p_of_share(x)) - expected), 2e-7 * expected) << x;
  }
  EXPECT_EQ(log1p_of_share(0.0F), 0.0F);
  EXPECT_TRUE(std::isnan(log1p_of_share(kNan)));
}

TEST(Math, TanhIsWithinItsBound) {
  for (float x = -20.0F; x <= 20.0F; x += 0.0113F) {
    EXPECT_NEAR(static_cast<double>(tanh_of(x)), std::tanh(static_cast<double>(x)), 3e-7) << x;
  }
  EXPECT_EQ(tanh_of(kInfinity), 1.0F);
  EXPECT_EQ(tanh_of(-kInfinity), -1.0F);
  EXPECT_TRUE(std::isnan(tanh_of(kNan)));
}

}  // namespace
}  // namespace sllmr
