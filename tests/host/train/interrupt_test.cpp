#include "host/train/interrupt.h"

#include <gtest/gtest.h>

namespace sllmr {
namespace {

int earlier_handler_calls = 0;

TEST(InterruptGuard, EitherSignalIsARequest) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const InterruptGuard guard;
    EXPECT_FALSE(interrupted());
    std::raise(signal);
    EXPECT_TRUE(interrupted());
  }
}

TEST(InterruptGuard, TheSecondSignalKills) {
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          const InterruptGuard guard;
          std::raise(signal);
          if (interrupted()) std::raise(signal);
        },
        testing::KilledBySignal(signal), "");
  }
}

TEST(InterruptGuard, RestoresTheHandlersOfBefore) {
  const auto before = std::signal(SIGINT, [](int) { ++earlier_handler_calls; });
  { const InterruptGuard guard; }
  std::raise(SIGINT);
  EXPECT_EQ(earlier_handler_calls, 1);
  EXPECT_FALSE(interrupted());
  std::signal(SIGINT, before);
}

}  // namespace
}  // namespace sllmr
