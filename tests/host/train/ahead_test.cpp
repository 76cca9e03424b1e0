// Steps that are prepared while another is taken: order, how far ahead, and errors of either side.
#include "host/train/ahead.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/errors.h"

namespace sllmr {
namespace {

class Ahead : public testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Slots, Ahead, testing::Values(1, 2, 3, 50));

TEST_P(Ahead, TakesEveryStepInOrderFromItsSlot) {
  const std::int64_t slots = GetParam();
  for (const std::int64_t count : {0, 1, 7, 40}) {
    std::vector<std::int64_t> held(static_cast<std::size_t>(slots), -1), used;
    std::atomic<std::int64_t> made = 0, taken = 0;
    run_ahead(
        count, slots,
        [&](std::int64_t k, std::int64_t slot) {
          EXPECT_EQ(k, made++);
          EXPECT_LT(k, taken + slots);
          held[static_cast<std::size_t>(slot)] = k;
        },
        [&](std::int64_t k, std::int64_t slot) {
          EXPECT_EQ(held[static_cast<std::size_t>(slot)], k);
          used.push_back(k);
          ++taken;
          return true;
        });
    ASSERT_EQ(std::ssize(used), count);
    EXPECT_TRUE(std::ranges::is_sorted(used));
  }
}

TEST_P(Ahead, AnErrorOfMakeComesAfterTheStepsBefore) {
  std::int64_t used = 0;
  EXPECT_EQ(error_of([&] {
              run_ahead(
                  10, GetParam(),
                  [](std::int64_t k, std::int64_t) {
                    if (k == 4) throw Error("the fifth");
                  },
                  [&](std::int64_t, std::int64_t) { return ++used > 0; });
            }),
            "the fifth");
  EXPECT_EQ(used, 4);
}

TEST_P(Ahead, AnErrorOfUseEndsIt) {
  std::atomic<std::int64_t> made = 0;
  EXPECT_EQ(error_of([&] {
              run_ahead(
                  1000, GetParam(), [&](std::int64_t, std::int64_t) { ++made; },
                  [](std::int64_t k, std::int64_t) {
                    if (k == 2) throw Error("the third");
                    return true;
                  });
            }),
            "the third");
  EXPECT_LE(made, 3 + GetParam());
}

TEST_P(Ahead, AUseThatIsTheLastEndsIt) {
  std::atomic<std::int64_t> made = 0;
  std::int64_t used = 0;
  run_ahead(
      1000, GetParam(), [&](std::int64_t, std::int64_t) { ++made; },
      [&](std::int64_t k, std::int64_t) {
        ++used;
        return k < 2;
      });
  EXPECT_EQ(used, 3);
  EXPECT_LE(made, 3 + GetParam());
}

TEST(RunAhead, MakesOnAThreadOfItsOwnWithSeveralSlots) {
  for (const std::int64_t slots : {1, 2}) {
    std::thread::id maker;
    run_ahead(
        1, slots, [&](std::int64_t, std::int64_t) { maker = std::this_thread::get_id(); },
        [](std::int64_t, std::int64_t) { return true; });
    EXPECT_EQ(maker == std::this_thread::get_id(), slots == 1);
  }
}

}  // namespace
}  // namespace sllmr
