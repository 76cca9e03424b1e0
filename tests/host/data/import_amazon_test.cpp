#include "host/data/feature_source.h"
#include "host/data/python_literal.h"
#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kReviews =
    R"({"reviewerID": "U", "asin": "B2", "overall": 5.0, "reviewText": "it's \"fine\" {ok}", "unixReviewTime": 20})"
    "\n"
    R"({"reviewerID": "V", "asin": "B2", "unixReviewTime": 7})"
    "\n"
    R"({"reviewerID": "U", "asin": "B1", "unixReviewTime": 10})"
    "\n";

class AmazonTest : public DataFiles {};

TEST_F(AmazonTest, ReadsReviewsInTimeOrder) {
  const Dataset data = load_dataset(write("reviews_Beauty_5.json", kReviews));
  EXPECT_EQ(data.name, "Beauty");
  EXPECT_THAT(history_of(data, "U"), ElementsAre("B1", "B2"));
  EXPECT_THAT(history_of(data, "V"), ElementsAre("B2"));
}

TEST_F(AmazonTest, ReadsGzipWithMetadataInJsonBesideIt) {
  write_gzip("Beauty_5.json.gz", kReviews);
  write_gzip(
      "meta_Beauty.json.gz",
      R"({"asin": "B1", "title": "Nail\tlacquer", "brand": "OPI", "category": ["Beauty", "Nail Care"]})"
      "\n"
      R"({"asin": "unknown", "title": "never reviewed"})"
      "\n");
  const Dataset data = load_dataset(path("Beauty_5.json.gz"));
  EXPECT_EQ(title_of(data, "B1"), "Nail lacquer");
  EXPECT_THAT(attributes_of(data, "B1"), ElementsAre("OPI", "Beauty", "Nail_Care"));
  EXPECT_EQ(title_of(data, "B2"), "");
  EXPECT_EQ(data.items.count(), 2);
}

TEST_F(AmazonTest, ReadsMetadataThatPythonPrinted) {
  write("reviews_Beauty_5.json", kReviews);
  write("meta_Beauty.json",
        R"({'asin': 'B1', 'title': "Bob's \"best\" \xe9lan", 'price': 3.5, 'brand': None,)"
        R"( 'related': {'also_bought': [u'X']}, 'ok': True, 'categories': [['Beauty', 'Hair'], ['Beauty']]})"
        "\n"
        R"({'asin': 'B2', 'title': 'say "hi"\n', 'brand': 'L\'Oreal'})"
        "\n");
  const Dataset data = load_dataset(path("reviews_Beauty_5"));
  EXPECT_EQ(title_of(data, "B1"), "Bob's \"best\" \xC3\xA9lan");
  EXPECT_THAT(attributes_of(data, "B1"), ElementsAre("Beauty", "Hair"));
  EXPECT_EQ(title_of(data, "B2"), "say \"hi\"");
  EXPECT_THAT(attributes_of(data, "B2"), ElementsAre("L'Oreal"));
}

TEST_F(AmazonTest, TruncatedReviewIsAnError) {
  const std::string file = write("r.json", kReviews + R"({"reviewerID": "U", "as)");
  EXPECT_THAT(load_error(file),
              HasSubstr(file + ":4: not a JSON object or Python dictionary, nested too deep or cut off"));
}

TEST_F(AmazonTest, TruncatedGzipIsAnError) {
  std::string many;
  for (int k = 0; k < 3000; ++k) {
    many += R"({"reviewerID": "U)" + std::to_string(k * 7919 % 3001) +
            R"(", "asin": "B", "unixReviewTime": )" + std::to_string(k) + "}\n";
  }
  const std::string file = write_gzip("r.json.gz", many);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 100);
  EXPECT_THAT(load_error(file),
              HasSubstr("the gzip stream ends early, the file is truncated; copy it again"));
}

TEST_F(AmazonTest, MissingKeysAreNamed) {
  const auto error = [&](const std::string& review) {
    return load_error(write("r.json", review + "\n"), options_with(&ImportOptions::format, "amazon"));
  };
  EXPECT_THAT(error(R"({"asin": "B", "unixReviewTime": 1})"),
              HasSubstr("r.json:1: there is no string reviewerID"));
  EXPECT_THAT(error(R"({"reviewerID": "U", "unixReviewTime": 1})"),
              HasSubstr("r.json:1: there is no string asin"));
  EXPECT_THAT(error(R"({"reviewerID": "U", "asin": "B"})"),
              HasSubstr("r.json:1: there is no number unixReviewTime"));
  EXPECT_THAT(error(R"({"reviewerID": "U", "asin": "B", "unixReviewTime": "x"})"),
              HasSubstr("r.json:1: there is no number unixReviewTime"));
  EXPECT_THAT(error("[1]"), HasSubstr("r.json:1: not a JSON object"));
}

TEST_F(AmazonTest, ReviewsAndMetadataMayBeThereTwice) {
  const std::string file =
      write("Beauty_5.json", kReviews + R"({"reviewerID": "V", "asin": "B2", "unixReviewTime": 7})"
                                        "\n");
  write("meta_Beauty.json", "{'asin': 'B1'}\n{'asin': 'B2'}\n{'asin': 'B1'}\n");
  const Dataset data = load_dataset(file);
  EXPECT_EQ(data.interactions(), 3);
  EXPECT_THAT(data.notes, testing::IsSupersetOf({HasSubstr("1 of 4 rows repeat user, item and time"),
                                                 HasSubstr("1 lines describe an item again, 0 of them")}));
  EXPECT_THAT(load_error(file, options_with(&ImportOptions::duplicates, Duplicates::error)),
              HasSubstr(file + ":4: user 'V', item 'B2' and time are those of line 2"));
}

TEST_F(AmazonTest, ReviewsMayBeChosenByTheirRating) {
  std::string reviews;
  for (const char* item : {"A", "B", "C"}) {
    reviews += std::string(R"({"reviewerID": "U", "verified": true, "asin": ")") + item +
               R"(", "overall": )" + (item[0] == 'B' ? "2.0" : "5.0") + R"(, "unixReviewTime": 1})" + "\n";
  }
  const std::string file = write("r.json", reviews);
  EXPECT_EQ(load_dataset(file).interactions(), 3);
  EXPECT_THAT(load_dataset(file).notes, ElementsAre(HasSubstr("a row counts whatever its overall")));
  EXPECT_THAT(
      history_of(load_dataset(file, options_with(&ImportOptions::keep, "overall >= 4, verified == 1")), "U"),
      ElementsAre("A", "C"));
}

TEST_F(AmazonTest, LabelsCountAsStringsAndMustBeInAllReviews) {
  const auto review = [](const std::string& asin, const std::string& rest) {
    return R"({"reviewerID": "7", "asin": ")" + asin + R"(", "unixReviewTime": 1)" + rest + "}\n";
  };
  EXPECT_THAT(
      history_of(load_dataset(
                     write("a.json", review("1", R"(, "label": "0")") + review("2", R"(, "label": "1")") +
                                         review("3", R"(, "label": 0)") + review("4", R"(, "label": true)"))),
                 "7"),
      ElementsAre("2", "4"));
  const std::string late = write("b.json", review("1", "") + review("2", R"(, "click": 0)"));
  EXPECT_EQ(
      load_error(late),
      late +
          ":2: there is a click, which line 1 lacks; add it to all lines, or set data.keep to all or to "
          "conditions");
  EXPECT_EQ(load_dataset(late, options_with(&ImportOptions::keep, "all")).interactions(), 2);
  EXPECT_THAT(load_error(write("c.json", review("1", R"(, "label": 1)") + review("2", ""))),
              HasSubstr("c.json:2: label is ''"));
  EXPECT_THAT(load_error(write("d.json", review("1", R"(, "is_click": "yes")"))),
              HasSubstr("d.json:1: is_click is 'yes'"));
  const std::string rated =
      write("e.json", review("1", R"(, "overall": "5.0")") + review("2", R"(, "overall": "2.0")"));
  EXPECT_THAT(history_of(load_dataset(rated, options_with(&ImportOptions::keep, "overall >= 4")), "7"),
              ElementsAre("1"));
}

TEST_F(AmazonTest, BrandAndCategoriesAreLabelled) {
  write("Beauty_5.json", kReviews);
  write("meta_Beauty.json",
        "{'asin': 'B1', 'categories': [['Hair', 'Care']]}\n{'asin': 'B2', 'categories': [['OPI']], 'brand': "
        "'OPI'}\n");
  const Dataset data = load_dataset(path("Beauty_5"));
  const FeatureSource source = feature_source(data);
  EXPECT_EQ(source.brands[data.items.find("B1")], 0);
  EXPECT_EQ(source.brands[data.items.find("B2")], 1);
  EXPECT_EQ(source.category_rows, 4);
}

TEST_F(AmazonTest, MetadataAreFoundUnderEveryEndingOfReviews) {
  write("Beauty_5.json", kReviews);
  for (const std::string ending : {".json", ".jsonl"}) {
    const std::string meta = write("meta_Beauty" + ending, "{'asin': 'B1', 'title': 'x'}\n");
    EXPECT_EQ(title_of(load_dataset(path("Beauty_5")), "B1"), "x");
    const std::string packed = write_gzip("meta_Beauty" + ending + ".gz", "{'asin': 'B1', 'title': 'y'}\n");
    EXPECT_THAT(load_error(path("Beauty_5")), HasSubstr("there are several item files beside it"));
    std::filesystem::remove(meta);
    EXPECT_EQ(title_of(load_dataset(path("Beauty_5")), "B1"), "y");
    std::filesystem::remove(packed);
  }
}

TEST_F(AmazonTest, MetadataThatAreNoLiteralAreAnError) {
  write("Beauty_5.json", kReviews);
  write("meta_Beauty.json", "{'asin': 'B1', 'title': open('x')}\n");
  EXPECT_THAT(load_error(path("Beauty_5")),
              HasSubstr("meta_Beauty.json:1: not a JSON object or Python dictionary"));
}

TEST_F(AmazonTest, DeepNestingIsAnErrorOfItsLine) {
  const std::string open(100'000, '['), close(100'000, ']');
  for (const std::string quote : {"\"", "'"}) {
    const std::string item = "{" + quote + "asin" + quote + ": " + quote + "B1" + quote + "}\n";
    write("Beauty_5.json", kReviews);
    write("meta_Beauty.json", item + "{" + quote + "categories" + quote + ": " + open + close + "}\n");
    EXPECT_THAT(load_error(path("Beauty_5")), HasSubstr("meta_Beauty.json:2: not a JSON object"));
  }
  EXPECT_THAT(load_error(write("r.json", kReviews + R"({"reviewerID": )" + open + close + "}\n")),
              HasSubstr("r.json:4: not a JSON object"));
}

TEST(PythonLiteralTest, JsonPassesUnchanged) {
  const std::string json = R"({"a": [1, -2.5e3, "x\"y\\\u00e9"], "b": {}})";
  EXPECT_EQ(python_to_json(json), json);
}

TEST(PythonLiteralTest, TranslatesStringsAndNames) {
  EXPECT_EQ(python_to_json(R"(['it\'s', "it's", 'a "b"', u'c', '\x41', '\q'])"),
            R"(["it's", "it's", "a \"b\"", "c", "\u0041", "\\q"])");
  EXPECT_EQ(python_to_json("[None, True, False, 'None']"), R"([null, true, false, "None"])");
}

TEST(PythonLiteralTest, AnUnfinishedStringStaysUnfinished) {
  EXPECT_EQ(python_to_json("['ab"), R"(["ab)");
  EXPECT_EQ(python_to_json("['ab\\"), R"(["ab\)");
}

}  // namespace
}  // namespace sllmr
