#include "host/guidance/logistic_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace sllmr {
namespace {

/// At the maximum of a concave likelihood its gradient is 0.
TEST(LogisticFit, IsWhereTheLikelihoodHasNoSlope) {
  std::vector<LogisticExample> examples;
  for (int k = 0; k < 200; ++k) {
    const double x = std::sin(k);
    examples.push_back({x, 0.5 + 0.01 * (k % 50), std::sin(7 * k) < x + 0.3});
  }
  for (const LogisticFit start : {LogisticFit{}, LogisticFit{5, 0}, LogisticFit{-40, 30}}) {
    const LogisticFit fit = fit_logistic(examples, start);
    double by_slope = 0, by_intercept = 0;
    for (const LogisticExample& e : examples) {
      const double off =
          e.weight * (1 / (1 + std::exp(-(fit.slope * e.x + fit.intercept))) - (e.positive ? 1 : 0));
      by_slope += off * e.x, by_intercept += off;
    }
    EXPECT_NEAR(by_slope, 0, 1e-6);
    EXPECT_NEAR(by_intercept, 0, 1e-6);
    EXPECT_GT(fit.slope, 0.5);
  }
}

TEST(LogisticFit, StaysFiniteWhereALineSeparatesTheLabels) {
  const std::vector<LogisticExample> examples = {{0, 1, false}, {1, 1, false}, {2, 1, true}, {3, 1, true}};
  const LogisticFit fit = fit_logistic(examples, {5, 0});
  EXPECT_TRUE(std::isfinite(fit.slope) && std::isfinite(fit.intercept));
  EXPECT_LT(fit.logit(1), -2);
  EXPECT_GT(fit.logit(2), 2);
  const std::vector<LogisticExample> same = {{0.5, 1, false}, {0.5, 3, true}};
  EXPECT_NEAR(fit_logistic(same).logit(0.5), std::log(3.0), 1e-4) << "one x is all there is";
}

}  // namespace
}  // namespace sllmr
