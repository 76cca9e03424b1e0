#include <gtest/gtest.h>

#include <cmath>

#include "tests/host/guidance/rows.h"

namespace sllmr {
namespace {

using Weights = GuidedRows;

TEST_F(Weights, FavourWhatTheLlmLikesMoreThanTheUsersOtherItems) {
  const auto weights = guidance({"method=weights", "weights.strength=0.5"});
  const BatchPlan rows = plan(*weights);
  std::int64_t moved = 0;
  for (std::size_t k = 0; k < rows.rows.size(); ++k) {
    const auto t = static_cast<double>(score(rows.rows[k]));
    double mean = 0;
    const auto scores = table_.scores_of(rows.rows[k].user);
    for (const float each : scores) mean += static_cast<double>(each) / static_cast<double>(scores.size());
    const bool counts = k % 3 != 1 && !std::isnan(t);
    moved += counts;
    EXPECT_NEAR(rows.weights[k], counts ? 1 + 0.5 * (t - mean) : 1.0, 1e-6);
    EXPECT_EQ(rows.targets[k], k % 3 == 1 ? 0.0F : 1.0F);
  }
  EXPECT_GT(moved, 5);
}

}  // namespace
}  // namespace sllmr
