#include "host/runs/checkpoint_clock.h"

#include <gtest/gtest.h>

namespace sllmr {
namespace {

TEST(CheckpointClock, CountsEpochsWhereToldTo) {
  EXPECT_TRUE(checkpoint_is_due(1, 7, 0, 0));
  EXPECT_TRUE(checkpoint_is_due(3, 6, 0, 100));
  EXPECT_FALSE(checkpoint_is_due(3, 7, 1e9, 0));
}

TEST(CheckpointClock, ElseGivesCheckpointsATwentiethOfTheTime) {
  EXPECT_FALSE(checkpoint_is_due(0, 1, 4.9, 0));
  EXPECT_TRUE(checkpoint_is_due(0, 1, 5, 0));
  EXPECT_TRUE(checkpoint_is_due(0, 1, 5, 0.25));
  EXPECT_FALSE(checkpoint_is_due(0, 1, 39, 2));
  EXPECT_TRUE(checkpoint_is_due(0, 1, 40, 2));
}

}  // namespace
}  // namespace sllmr
