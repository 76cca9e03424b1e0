// A comparator that cannot fail hides every other bug, so the comparators come first.
#include "tests/support/compare.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace sllmr {
namespace {

constexpr double kDoubleNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kDoubleInfinity = std::numeric_limits<double>::infinity();
constexpr double kMostDouble = std::numeric_limits<double>::max();
constexpr Tolerance kLoose{1e3, 0.5};
using Doubles = std::vector<double>;

TEST(Compare, NothingIsCloseToWhatIsNotFinite) {
  for (const double odd : {kDoubleNan, kDoubleInfinity, -kDoubleInfinity}) {
    for (const double other : {0.0, 1.0, kMostDouble, kDoubleNan, kDoubleInfinity, -kDoubleInfinity}) {
      EXPECT_FALSE(is_close(odd, other, kLoose)) << odd << " " << other;
      EXPECT_FALSE(is_close(other, odd, kLoose)) << other << " " << odd;
    }
  }
  EXPECT_FALSE(is_close(1.0, 1.0, {kDoubleNan, 0}));
  EXPECT_FALSE(is_close(kMostDouble, -kMostDouble, {0, 0.5}));
}

TEST(Compare, SignsMatter) {
  EXPECT_FALSE(is_close(-1.0, 1.0, {0, 0.1}));
  EXPECT_FALSE(is_close(1.0, -1.0, {0, 0.1}));
  EXPECT_FALSE(is_close(-1.2, -1.0, {0, 0.1}));
  EXPECT_TRUE(is_close(-1.05, -1.0, {0, 0.1}));
}

TEST(Compare, NearZeroOnlyTheAbsoluteToleranceHelps) {
  EXPECT_FALSE(is_close(1e-9, 0.0, {0, 0.1}));
  EXPECT_TRUE(is_close(1e-9, 0.0, {1e-8, 0}));
  EXPECT_TRUE(is_close(0.0, -0.0, {}));
}

TEST(Compare, TheOrderOfArgumentsDoesNotMatter) {
  for (const double x : {0.0, 1.0, -1.0, 1.0999, 1.1001, 5e-3}) {
    for (const double y : {0.0, 1.0, -1.0, 1.0999, 1.1001, 5e-3}) {
      const Tolerance tolerance{1e-3, 0.09};
      EXPECT_EQ(is_close(x, y, tolerance), is_close(y, x, tolerance)) << x << " " << y;
    }
  }
}

TEST(Compare, BothTolerancesAddUp) {
  EXPECT_TRUE(is_close(10.0, 11.0, {0.5, 0.05}));
  EXPECT_FALSE(is_close(10.0, 11.1, {0.5, 0.05}));
}

TEST(Compare, OneDifferentElementFailsTheWholeArray) {
  const Doubles reference{1, 2, 3};
  EXPECT_TRUE(all_near(Doubles{1, 2, 3}, reference, {}));
  EXPECT_FALSE(all_near(Doubles{1, 2, 3.1}, reference, {0, 0.01}));
  EXPECT_FALSE(all_near(Doubles{1, kDoubleNan, 3}, reference, kLoose));
  EXPECT_FALSE(all_near(reference, Doubles{1, kDoubleNan, 3}, kLoose));
  EXPECT_STREQ(all_near(Doubles{1, 5, 7}, reference, {}).message(),
               "2 of 3 differ, first at [1]: 5, reference 2");
}

TEST(Compare, SizesMustAgree) {
  EXPECT_FALSE(all_near(Doubles{1, 2}, Doubles{1, 2, 3}, kLoose));
  EXPECT_FALSE(all_near(Doubles{}, Doubles{1}, kLoose));
  EXPECT_TRUE(all_near(Doubles{}, Doubles{}, {}));
  EXPECT_EQ(norm_error(Doubles{1, 2}, Doubles{1, 2, 3}), kDoubleInfinity);
}

TEST(Compare, NormErrorIsRelativeToTheLargestReference) {
  EXPECT_DOUBLE_EQ(norm_error(Doubles{100, 0.5}, Doubles{100, 0}), 0.005);
  EXPECT_DOUBLE_EQ(norm_error(Doubles{-1}, Doubles{1}), 2.0);
  EXPECT_EQ(norm_error(Doubles{0, 0}, Doubles{0, 0}), 0.0);
}

TEST(Compare, NormErrorIsInfiniteWhereItHasNoMeaning) {
  EXPECT_EQ(norm_error(Doubles{1e-30}, Doubles{0}), kDoubleInfinity);
  EXPECT_EQ(norm_error(Doubles{kDoubleNan, 1}, Doubles{1, 1}), kDoubleInfinity);
  EXPECT_EQ(norm_error(Doubles{1, 1}, Doubles{1, kDoubleInfinity}), kDoubleInfinity);
  EXPECT_EQ(norm_error(Doubles{kDoubleInfinity}, Doubles{kDoubleInfinity}), kDoubleInfinity);
}

}  // namespace
}  // namespace sllmr
