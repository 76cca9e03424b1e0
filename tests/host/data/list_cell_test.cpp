#include "host/data/list_cell.h"

#include <gmock/gmock.h>

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ListCellTest, QuotedListsAreSplitAtTheirCommas) {
  EXPECT_THAT(split_list("'Toys & Games', 'Pretend Play'", true),
              ElementsAre("Toys & Games", "Pretend Play"));
  EXPECT_THAT(split_list(R"("Toys & Games","Pretend Play")", false),
              ElementsAre("Toys & Games", "Pretend Play"));
  EXPECT_THAT(split_list("'Clothing, Shoes & Jewelry'", true), ElementsAre("Clothing, Shoes & Jewelry"));
  EXPECT_THAT(split_list("'a' \"b\"", true), ElementsAre("a", "b"));
  EXPECT_THAT(split_list("'a', '', ''", true), ElementsAre("a"));
  EXPECT_THAT(split_list("'Toys & Games', Puzzles and Dice", true),
              ElementsAre("Toys & Games", "Puzzles and Dice"));
}

TEST(ListCellTest, BracketsHoldListsAsPythonAndJsonPrintThem) {
  EXPECT_THAT(split_list(R"(['Toys & Games', "Children's Books"])", true),
              ElementsAre("Toys & Games", "Children's Books"));
  EXPECT_THAT(split_list(R"([["Beauty", "Hair Care"], ["Skin"]])", false),
              ElementsAre("Beauty", "Hair Care", "Skin"));
  EXPECT_THAT(split_list("[Hair Care, Skin]", true), ElementsAre("Hair Care", "Skin"));
  EXPECT_THAT(split_list("[]", true), IsEmpty());
}

TEST(ListCellTest, QuotesInsideValuesAreEscapedDoubledOrPlain) {
  EXPECT_THAT(split_list(R"('Men\'s', 'a\\b')", true), ElementsAre("Men's", R"(a\b)"));
  EXPECT_THAT(split_list(R"("a ""b"" c", "d")", true), ElementsAre("a \"b\" c", "d"));
  EXPECT_THAT(split_list("'Men's Watches', 'Kids' Toys'", true), ElementsAre("Men's Watches", "Kids' Toys"));
}

TEST(ListCellTest, WordsAreSeparatedByBlanksCommasOrBars) {
  EXPECT_THAT(split_list("Animation Children's  Comedy", true),
              ElementsAre("Animation", "Children's", "Comedy"));
  EXPECT_THAT(split_list("Toys & Games, Pretend Play", true), ElementsAre("Toys & Games", "Pretend Play"));
  EXPECT_THAT(split_list("Action|Sci-Fi", true), ElementsAre("Action", "Sci-Fi"));
  EXPECT_THAT(split_list(" ", true), IsEmpty());
}

TEST(ListCellTest, OneTokenIsOneValue) {
  EXPECT_THAT(split_list("Brand One, Inc.", false), ElementsAre("Brand One, Inc."));
  EXPECT_THAT(split_list("'47 Brand", false), ElementsAre("'47 Brand"));
  EXPECT_THAT(split_list("\"Weird Al\" Yankovic", false), ElementsAre("\"Weird Al\" Yankovic"));
  EXPECT_THAT(split_list("[PIAS] Records", false), ElementsAre("[PIAS] Records"));
  EXPECT_THAT(split_list("'Til Tuesday", true), ElementsAre("'Til", "Tuesday"));
}

TEST(ListCellTest, JoinedValuesComeApartAgain) {
  const std::vector<std::vector<std::string_view>> lists{
      {},      {"a", "b"}, {"'a'"}, {"a|b", "c"}, {"'Til", "you,", "[x]"},
      {"[x]"}, {"\"q\\"},  {"a b"}, {"x, y"},     {"a", "b c", "'"}};
  for (const auto& values : lists) {
    const std::string cell = join_list(values, true);
    EXPECT_TRUE(std::ranges::equal(split_list(cell, true), values)) << cell;
  }
  EXPECT_EQ(join_list(lists[1], true), "a b");
}

}  // namespace
}  // namespace sllmr
