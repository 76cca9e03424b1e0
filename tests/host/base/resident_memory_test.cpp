#include "host/base/resident_memory.h"

#include <gtest/gtest.h>

#include <vector>

namespace sllmr {
namespace {

TEST(ResidentMemory, ThePeakIsThatSinceTheRestart) {
  constexpr std::int64_t kBlock = std::int64_t{256} << 20;
  if (!restart_peak_resident()) GTEST_SKIP() << "the system does not let the peak begin anew";
  const std::int64_t before = peak_resident_bytes();
  EXPECT_GT(before, 0);
  // Freed, it still counts.
  { const std::vector<char> block(kBlock, 1); }
  EXPECT_GT(peak_resident_bytes(), before + kBlock * 9 / 10);
  ASSERT_TRUE(restart_peak_resident());
  EXPECT_LT(peak_resident_bytes(), before + kBlock / 2);
}

}  // namespace
}  // namespace sllmr
