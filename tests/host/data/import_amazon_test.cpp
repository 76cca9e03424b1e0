#include "host/data/feature_source.h"
#include "host/data/python_literal.h"
#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::Contains;
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
  const Dataset data =
      load_dataset(write("a.json", review("1", R"(, "label": "0")") + review("2", R"(, "label": "1")") +
                                       review("3", R"(, "label": 0)") + review("4", R"(, "label": true)")));
  EXPECT_THAT(history_of(data, "7"), ElementsAre("2", "4"));
  EXPECT_THAT(negatives_of(data, "7"), ElementsAre(ElementsAre("1", "3"), ElementsAre("1", "3")));
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

/// Amazon Reviews 2023.
const std::string kReviewsOf2023 =
    R"({"rating": 5.0, "title": "7", "text": "ok", "images": [], "asin": "B1v", "parent_asin": "B1", "user_id": "U", "timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": true})"
    "\n"
    R"({"rating": 1.0, "title": "no", "text": "", "images": [], "asin": "B2", "parent_asin": "B2", "user_id": "U", "timestamp": 1588687728922, "helpful_vote": 3, "verified_purchase": false})"
    "\n";
const std::string kTable =
    "user_id,parent_asin,rating,timestamp\nU,B1,5.0,1588687728923\nU,B2,1.0,1588687728922\nV,B2,4.0,10\n";

TEST_F(AmazonTest, ReadsReviewsOf2023WithTheirMetadata) {
  write("All_Beauty.jsonl", kReviewsOf2023);
  write(
      "meta_All_Beauty.jsonl",
      R"({"main_category": "All Beauty", "title": "Howard LC0008", "store": "Howard Products", "categories": [], "parent_asin": "B1"})"
      "\n"
      R"({"main_category": null, "title": "Oil", "store": null, "categories": ["Hair", "Oils"], "parent_asin": "B2"})"
      "\n");
  const Dataset data = load_dataset(path("All_Beauty"));
  EXPECT_EQ(data.name, "All_Beauty");
  EXPECT_THAT(history_of(data, "U"), ElementsAre("B2", "B1"));
  EXPECT_EQ(title_of(data, "B1"), "Howard LC0008");
  EXPECT_THAT(attributes_of(data, "B1"), ElementsAre("Howard_Products", "All_Beauty"));
  EXPECT_THAT(attributes_of(data, "B2"), ElementsAre("Hair", "Oils"));
  const Dataset verified = load_dataset(
      path("All_Beauty.jsonl"), options_with(&ImportOptions::keep, "verified_purchase > 0, rating >= 4"));
  EXPECT_THAT(history_of(verified, "U"), ElementsAre("B1"));
}

TEST_F(AmazonTest, FaultsOf2023AreNamedByTheirKeys) {
  const std::string file =
      write("x.jsonl", kReviewsOf2023 + R"({"rating": 1.0, "parent_asin": "B", "user_id": "U"})" + "\n");
  EXPECT_THAT(load_error(file), HasSubstr(file + ":3: there is no number timestamp"));
  const std::string user =
      write("y.jsonl", kReviewsOf2023 + R"({"rating": 1.0, "parent_asin": "B", "timestamp": 3})" + "\n");
  EXPECT_THAT(load_error(user), HasSubstr(user + ":3: there is no string user_id"));
}

TEST_F(AmazonTest, ReadsTablesOf2023) {
  write("Video_Games.csv", kTable);
  const Dataset data = load_dataset(path("Video_Games"));
  EXPECT_EQ(data.name, "Video_Games");
  EXPECT_THAT(history_of(data, "U"), ElementsAre("B2", "B1"));
  EXPECT_THAT(history_of(data, "V"), ElementsAre("B2"));
  const Dataset liked =
      load_dataset(path("Video_Games.csv"), options_with(&ImportOptions::keep, "rating >= 4"));
  EXPECT_THAT(history_of(liked, "U"), ElementsAre("B1"));
  write_gzip("Zipped.csv.gz", "user_id,parent_asin,rating,timestamp,history\nU,B1,5.0,3,\nU,B3,5.0,4,B1\n");
  const Dataset zipped = load_dataset(path("Zipped"));
  EXPECT_THAT(history_of(zipped, "U"), ElementsAre("B1", "B3"));
  EXPECT_THAT(zipped.notes, ElementsAre(HasSubstr("not used: history"), HasSubstr("rating")));
}

TEST_F(AmazonTest, TablesThatCameSplitKeepTheirSplit) {
  const std::string header = "user_id,parent_asin,rating,timestamp\n";
  write("Games.train.csv", header + "U,A,5.0,1\nU,B,5.0,9\nV,A,5.0,1\nV,B,3.0,2\n");
  write("Games.valid.csv", header + "U,C,5.0,2\n");
  write("Games.test.csv", header + "U,D,5.0,3\nV,C,5.0,4\n");
  write("meta_Games.jsonl", R"({"parent_asin": "A", "title": "Chess", "store": "Ludo"})"
                            "\n");
  const Dataset data = load_dataset(path("Games"));
  EXPECT_EQ(data.name, "Games");
  EXPECT_THAT(history_of(data, "U"), ElementsAre("A", "B", "C", "D"))
      << "training comes first, whatever its times";
  EXPECT_THAT(history_of(data, "V"), ElementsAre("A", "B", "C"));
  EXPECT_EQ(title_of(data, "A"), "Chess");
  const Dataset joined =
      load_dataset(path("Games"), options_with(&ImportOptions::split, SplitSource::leave_one_out));
  EXPECT_THAT(history_of(joined, "U"), ElementsAre("A", "C", "D", "B")) << "by time";
  const Dataset part = load_dataset(path("Games.train.csv"));
  EXPECT_THAT(history_of(part, "U"), ElementsAre("A", "B"));
  EXPECT_THAT(part.notes, Contains(HasSubstr("one part of a data set that came split")));
  std::filesystem::remove(path("Games.test.csv"));
  EXPECT_THAT(load_error(path("Games")), HasSubstr("Games.test.csv is missing beside"));
}

TEST_F(AmazonTest, MalformedTablesAreNamed) {
  const auto error = [&](const std::string& text) {
    return load_error(write("t.csv", text), options_with(&ImportOptions::format, "amazon"));
  };
  EXPECT_THAT(error("user_id,parent_asin,rating,timestamp,other\nU,B,5,1,x\n"),
              HasSubstr("t.csv:1: the header is not 'user_id,parent_asin,rating,timestamp'"));
  EXPECT_THAT(error("user_id,parent_asin,rating,timestamp\nU,B,5\n"), HasSubstr("t.csv:2: "));
  EXPECT_THAT(error("user_id,parent_asin,rating,timestamp\nU,B,5.0,yesterday\n"), HasSubstr("t.csv:2: "));
  EXPECT_THAT(error("user_id,parent_asin,rating,timestamp\n,B,5.0,1\n"), HasSubstr("t.csv:2: "));
  EXPECT_THAT(error("user_id,parent_asin,rating,timestamp\n"), HasSubstr("t.csv"));
}

}  // namespace
}  // namespace sllmr
