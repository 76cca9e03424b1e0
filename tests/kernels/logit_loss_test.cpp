#include "kernels/logit_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/mf.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

TEST(LogitLoss, LogSigmoidDoesNotOverflow) {
  for (double x = -30; x <= 30; x += 0.37) {
    const double p = 1 / (1 + std::exp(-x));
    const auto [loss, slope] = log_sigmoid_loss(x);
    EXPECT_NEAR(loss, std::log1p(std::exp(-x)), 1e-14 * (1 + std::fabs(x))) << x;
    EXPECT_NEAR(slope, p - 1, 1e-15) << x;
  }
  EXPECT_EQ(log_sigmoid_loss(-1000.0).loss, 1000.0);
  EXPECT_EQ(log_sigmoid_loss(-1000.0F).slope, -1.0F);
  EXPECT_EQ(log_sigmoid_loss(1000.0F).loss, 0.0F);
  EXPECT_EQ(log_sigmoid_loss(kInfinity).slope, 0.0F);
  EXPECT_TRUE(std::isnan(log_sigmoid_loss(kNan).loss));
  EXPECT_TRUE(std::isnan(log_sigmoid_loss(kNan).slope));
}

TEST(LogitLoss, CrossEntropyIsThatOfTheProbability) {
  for (const double target : {0.0, 0.2, 0.5, 1.0}) {
    for (double x = -8; x <= 8; x += 0.37) {
      const double p = 1 / (1 + std::exp(-x));
      const auto [loss, slope] = binary_cross_entropy(x, target);
      EXPECT_NEAR(loss, -target * std::log(p) - (1 - target) * std::log(1 - p), 1e-12) << x << ' ' << target;
      EXPECT_NEAR(slope, p - target, 1e-14) << x << ' ' << target;
    }
  }
}

TEST(LogitLoss, TheFusedStepsIsTheSameWithinItsExponentialsBound) {
  for (float x = -80; x <= 80; x += 0.37F) {
    const auto [loss, slope] = log_sigmoid_loss(static_cast<double>(x));
    const BprLoss fast = bpr_loss(x);
    EXPECT_NEAR(static_cast<double>(fast.loss), loss, 1e-6 * (loss + 1e-30)) << x;
    EXPECT_NEAR(static_cast<double>(fast.push), -slope, 1e-6 * (1e-30 - slope)) << x;
  }
}

}  // namespace
}  // namespace sllmr
