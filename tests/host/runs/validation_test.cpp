#include "host/runs/validation.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"

namespace sllmr {
namespace {

TEST(Validation, TheBestIsTheFirstOfTheHighestOrTheLowest) {
  for (const Better better : {Better::higher, Better::lower}) {
    const double sign = better == Better::higher ? 1 : -1;
    Validation validation;
    EXPECT_TRUE(validation.add(2, sign * 0.5, better));
    EXPECT_FALSE(validation.add(4, sign * 0.5, better));
    EXPECT_FALSE(validation.add(6, sign * 0.4, better));
    EXPECT_EQ(validation.without_gain, 2);
    EXPECT_TRUE(validation.add(8, sign * 0.6, better));
    EXPECT_EQ(validation.best, sign * 0.6);
    EXPECT_EQ(validation.best_epoch, 8);
    EXPECT_EQ(validation.without_gain, 0);
  }
}

TEST(Validation, WhatIsNoNumberIsNeverBetter) {
  for (const nlohmann::json& none : {nlohmann::json(), nlohmann::json(kNan), nlohmann::json(-kInfinity)}) {
    Validation validation;
    EXPECT_TRUE(validation.add(1, none, Better::lower)) << "there is no other";
    EXPECT_FALSE(validation.best.has_value());
    EXPECT_FALSE(validation.add(2, none, Better::lower));
    EXPECT_TRUE(validation.add(3, 7.0, Better::lower));
    EXPECT_FALSE(validation.add(4, none, Better::lower));
    EXPECT_EQ(validation.best, 7.0);
    EXPECT_EQ(validation.best_epoch, 3);
  }
}

TEST(DecayedRate, IsNeverNothing) {
  EXPECT_DOUBLE_EQ(decayed_rate(0.1, 0.5, 0), 0.1);
  EXPECT_DOUBLE_EQ(decayed_rate(0.1, 0.5, 2), 0.025);
  EXPECT_DOUBLE_EQ(decayed_rate(0.1, 1e-6, 60), 1e-6);
  EXPECT_DOUBLE_EQ(decayed_rate(1e-9, 0.5, 3), 1e-9);
}

}  // namespace
}  // namespace sllmr
