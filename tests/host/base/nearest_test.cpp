#include "host/base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace sllmr {
namespace {

TEST(NearestName, PicksTheSmallestEditDistance) {
  const std::vector<std::string> names = {"confidence", "entropy", "none"};
  EXPECT_EQ(nearest_name("entrpy", names), "entropy");          // a letter missing
  EXPECT_EQ(nearest_name("confiddence", names), "confidence");  // one too many
  EXPECT_EQ(nearest_name("nine", names), "none");               // one wrong
  EXPECT_EQ(nearest_name("entropy", names), "entropy");
}

TEST(NearestName, TakesTheFirstOfEqualDistance) {
  const std::vector<std::string> names = {"cat", "bat"};
  EXPECT_EQ(nearest_name("hat", names), "cat");
}

TEST(NearestName, CountsEveryEditOnce) {
  // "kitten" is 3 edits from "sitting" and 4 from "kit's sun".
  const std::vector<std::string> names = {"kit", "sitting", "kitchens"};
  EXPECT_EQ(nearest_name("kitten", names), "kit");
  const std::vector<std::string> longer = {"kitt-----", "sitting"};
  EXPECT_EQ(nearest_name("kitten", longer), "sitting");
}

TEST(NearestName, EmptyInputs) {
  EXPECT_EQ(nearest_name("x", {}), "");
  const std::vector<std::string> names = {"abc", "de"};
  EXPECT_EQ(nearest_name("", names), "de");
}

}  // namespace
}  // namespace sllmr
