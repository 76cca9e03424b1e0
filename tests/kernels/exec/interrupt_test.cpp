#include "kernels/exec/interrupt.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <optional>

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

TEST(StopByCall, IsTheOnlyRequestWhileItLives) {
  struct sigaction before {
  }, during{};
  ::sigaction(SIGINT, nullptr, &before);
  {
    StopByCall request;
    const InterruptGuard guard;
    ::sigaction(SIGINT, nullptr, &during);
    EXPECT_EQ(during.sa_handler, before.sa_handler);
    EXPECT_FALSE(interrupted());
    request.stop();
    EXPECT_TRUE(interrupted());
    EXPECT_THROW(throw_if_interrupted(), Interrupted);
    const InterruptGuard later;  // of the same work: the request stands
    EXPECT_TRUE(interrupted());
  }
  EXPECT_FALSE(interrupted());
  {
    const InterruptGuard guard;
    std::raise(SIGINT);
    EXPECT_TRUE(interrupted());
  }
  const InterruptGuard forgets;  // whoever comes next is not to stop
  EXPECT_FALSE(interrupted());
}

/// Waits for longer than a request may stay unheard; the signals themselves would end a sleep.
void wait_past_the_deadline() {
  for (int tenths = 0; tenths < 12; ++tenths) ::poll(nullptr, 0, 100);
}

TEST(InterruptGuard, ARequestThatNobodyHearsEndsTheProcess) {
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          const InterruptGuard guard;
          std::raise(signal);
          wait_past_the_deadline();
        },
        testing::ExitedWithCode(130), "stopped at once");
  }
}

TEST(InterruptGuard, AHeardRequestHasTimeAndSoHasADelay) {
  EXPECT_EXIT(
      {
        const InterruptGuard guard;
        std::raise(SIGINT);
        const bool heard = interrupted();
        wait_past_the_deadline();
        ::_exit(heard ? 7 : 8);
      },
      testing::ExitedWithCode(7), "");
  EXPECT_EXIT(
      {
        const InterruptGuard guard;
        std::optional<InterruptDelay> delay(std::in_place);
        std::raise(SIGINT);
        wait_past_the_deadline();
        ::write(STDERR_FILENO, "whole", 5);
        delay.reset();
        wait_past_the_deadline();
      },
      testing::ExitedWithCode(130), "whole\nstopped at once");
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
