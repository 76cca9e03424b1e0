#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class S3RecTest : public DataFiles {};

TEST_F(S3RecTest, ReadsSequencesAndAttributes) {
  write("Beauty.txt", "1 10 11 10\n2 11 12 \n");
  write("Beauty_item2attributes.json", R"({"10": [3, 1], "12": ["hair care"], "99": [5]})");
  const Dataset data = load_dataset(path("Beauty"));
  EXPECT_EQ(data.name, "Beauty");
  EXPECT_THAT(history_of(data, "1"), ElementsAre("10", "11", "10"));
  EXPECT_THAT(history_of(data, "2"), ElementsAre("11", "12"));
  EXPECT_THAT(attributes_of(data, "10"), ElementsAre("3", "1"));
  EXPECT_THAT(attributes_of(data, "11"), IsEmpty());
  EXPECT_THAT(attributes_of(data, "12"), ElementsAre("hair_care"));
  EXPECT_EQ(data.attributes.count(), 3);
  EXPECT_EQ(title_of(data, "10"), "");
}

TEST_F(S3RecTest, AttributesMaySpanLines) {
  write("a.txt", "1 10 11\n");
  write("a_item2attributes.json", "{\n  \"10\": [\n    7\n  ]\n}\n");
  EXPECT_THAT(attributes_of(load_dataset(path("a")), "10"), ElementsAre("7"));
}

TEST_F(S3RecTest, UserOnTwoLinesIsAnError) {
  const std::string file = write("a.txt", "1 10 11\n2 10\n1 12\n");
  EXPECT_EQ(load_error(file), file + ":3: user '1' has line 1 already; merge the lines");
}

TEST_F(S3RecTest, TheSameLineTwiceCountsOnce) {
  const std::string file = write("a.txt", "1 10 11\n2 10\n1 10 11 \n");
  const Dataset data = load_dataset(file);
  EXPECT_EQ(data.interactions(), 3);
  EXPECT_THAT(data.notes, ElementsAre(HasSubstr("1 lines are there twice")));
  for (const Duplicates duplicates : {Duplicates::error, Duplicates::keep}) {
    EXPECT_EQ(load_error(file, options_with(&ImportOptions::duplicates, duplicates)),
              file +
                  ":3: user '1' has the same line 1 already; delete one, or set data.duplicates to first or "
                  "last");
  }
}

TEST_F(S3RecTest, ThereIsNothingToChooseRowsBy) {
  EXPECT_THAT(load_error(write("a.txt", "1 10 11\n"), options_with(&ImportOptions::keep, "rating >= 4")),
              HasSubstr("there are none to choose by"));
}

TEST_F(S3RecTest, AttributesAreFoundInGzipToo) {
  write("a.txt", "1 10 11\n");
  write_gzip("a_item2attributes.json.gz", "{\"10\": [7], \"11\": [8]}\n");
  EXPECT_THAT(attributes_of(load_dataset(path("a")), "10"), ElementsAre("7"));
}

TEST_F(S3RecTest, UserWithoutItemsIsAnError) {
  EXPECT_THAT(load_error(write("a.txt", "1 10 11\n2\n")), HasSubstr("a.txt:2: the user has no items"));
}

TEST_F(S3RecTest, DoubleBlankIsAnError) {
  EXPECT_THAT(load_error(write("a.txt", "1 10 11\n2 10  11\n")), HasSubstr("a.txt:2: the item id is empty"));
}

TEST_F(S3RecTest, TabsBetweenItemsAreAnError) {
  EXPECT_THAT(load_error(write("a.txt", "1 10 11\n2 10\t11\n")),
              HasSubstr("a.txt:2: the item id '10\t11' holds a tab or line end"));
}

TEST_F(S3RecTest, BrokenAttributesAreErrors) {
  write("a.txt", "1 10 11\n");
  const std::string file = write("a_item2attributes.json", R"({"10": [1, 2)");
  EXPECT_THAT(load_error(path("a.txt")), HasSubstr(file + ":1: not a JSON object"));
  write("a_item2attributes.json",
        R"({"10": [)" + std::string(100'000, '[') + std::string(100'000, ']') + "]}");
  EXPECT_THAT(load_error(path("a.txt")),
              HasSubstr(file + ":1: not a JSON object of item: [attribute, ...], or nested too deep"));
  write("a_item2attributes.json", R"({"10": 1})");
  EXPECT_THAT(load_error(path("a.txt")), HasSubstr(file + ":1: item '10' has no list of attributes"));
}

}  // namespace
}  // namespace sllmr
