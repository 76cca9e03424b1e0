// Table 1 of the paper from the published data. The data are not part of the project: without them the tests
// skip.
#include <gtest/gtest.h>

#include <filesystem>

#include "host/data/import.h"
#include "host/data/split.h"

namespace sllmr {
namespace {

struct Figures {
  const char* name;
  std::int64_t users, items, interactions, ctr_rows, ctr_cold_rows, attributes;
};

class AmazonFiguresTest : public testing::TestWithParam<Figures> {};

TEST_P(AmazonFiguresTest, FollowFromTheData) {
  const Figures expected = GetParam();
  const std::string path = std::string(SLLMR_SOURCE_DIR "/../shared/data/amazon/") + expected.name;
  if (!std::filesystem::exists(path + ".inter")) GTEST_SKIP() << "no data at " << path;
  const Dataset data = load_dataset(path);
  const Split split = leave_one_out(data);
  const DataStats stats = data_stats(split);
  EXPECT_EQ(stats.users, expected.users);
  EXPECT_EQ(stats.items, expected.items);
  EXPECT_EQ(stats.interactions, expected.interactions);
  EXPECT_EQ(stats.ctr_rows, expected.ctr_rows);
  EXPECT_EQ(stats.ctr_cold_rows, expected.ctr_cold_rows);
  EXPECT_EQ(stats.tail_items, expected.items / 5);
  EXPECT_EQ(stats.attributes, expected.attributes);
  EXPECT_EQ(stats.users_below_three, 0);
  if (data.name == "beauty") {
    EXPECT_EQ(stats.cold_users, 7162);
    EXPECT_EQ(stats.items_without_text, 1);
  }
  EXPECT_EQ(static_cast<std::int64_t>(ctr_train_rows(split, 1).size()), expected.ctr_rows);
  EXPECT_EQ(static_cast<std::int64_t>(ctr_test_rows(split, 1).size()), 2 * expected.users);
}

INSTANTIATE_TEST_SUITE_P(Table1, AmazonFiguresTest,
                         testing::Values(Figures{"beauty", 22363, 12101, 198502, 262826, 119854, 637},
                                         Figures{"sports", 35598, 18357, 296337, 379086, 190756, 2277},
                                         Figures{"toys", 19412, 11924, 167597, 218722, 103314, 1027}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sllmr
