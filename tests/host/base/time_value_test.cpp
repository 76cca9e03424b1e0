#include "host/base/time_value.h"

#include <gtest/gtest.h>

#include <utility>

namespace sllmr {
namespace {

TEST(TimeTest, NeighbouringIntegersOfAnySizeStayApart) {
  const std::pair<const char*, const char*> pairs[] = {{"1700000000123456788", "1700000000123456789"},
                                                       {"9007199254740992", "9007199254740993"},
                                                       {"18446744073709551615", "18446744073709551616"},
                                                       {"20240131123456123456", "20240131123456123457"},
                                                       {"-9223372036854775809", "-9223372036854775808"}};
  for (const auto& [earlier, later] : pairs) {
    ASSERT_TRUE(parse_time(earlier) && parse_time(later)) << earlier;
    EXPECT_TRUE(*parse_time(earlier) < *parse_time(later)) << earlier;
  }
}

TEST(TimeTest, SpellingsOfANumberAreEqual) {
  for (const char* text : {"1500", "1500.0", "1.5e3", "1.5E+3", "15000e-1", "0001500", "1500.", "+1500"}) {
    ASSERT_TRUE(parse_time(text)) << text;
    EXPECT_TRUE(*parse_time(text) == *parse_time("1500")) << text;
  }
  EXPECT_TRUE(*parse_time("-0.05") == -*parse_time(".05"));
  EXPECT_TRUE(*parse_time("0.05") < *parse_time("0.5"));
  EXPECT_TRUE(*parse_time("978300760.1234567") < *parse_time("978300760.1234568"));
  EXPECT_TRUE(*parse_time("1e-30") == 0);
}

TEST(TimeTest, WhatIsNoFiniteNumberIsNoTime) {
  for (const char* text : {"",
                           "-",
                           ".",
                           "x",
                           "1x",
                           " 1",
                           "1 ",
                           "nan",
                           "inf",
                           "-inf",
                           "+",
                           "+-1",
                           "-+1",
                           "1e",
                           "1e+",
                           "1e+-2",
                           "0x10",
                           "1e300",
                           "1e99999999999",
                           "1.2.3",
                           "1,5",
                           "200000000000000000000"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

}  // namespace
}  // namespace sllmr
