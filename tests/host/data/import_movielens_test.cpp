#include "host/data/feature_source.h"
#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class MovieLensTest : public DataFiles {};

TEST_F(MovieLensTest, ReadsTheTabSeparatedRelease) {
  write("ml-100k/u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t377\t1\t878887116\n");
  write("ml-100k/u1.base", "196\t242\t3\t881250949\n");
  write("ml-100k/u.item",
        "242|Caf\xE9 (1996)|01-Jan-1996||http://x|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0|1\n"
        "302|L.A. Confidential|||http://y|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n");
  const Dataset data = load_dataset(path("ml-100k"));
  EXPECT_EQ(data.name, "ml-100k");
  EXPECT_THAT(history_of(data, "196"), ElementsAre("377", "242"));
  EXPECT_EQ(title_of(data, "242"), "Caf\xC3\xA9 (1996)");
  EXPECT_THAT(attributes_of(data, "242"), ElementsAre("Comedy", "Western"));
  EXPECT_THAT(attributes_of(data, "302"), ElementsAre("unknown"));
  EXPECT_EQ(title_of(data, "377"), "");
}

TEST_F(MovieLensTest, ReadsTheDoubleColonRelease) {
  write("ml-1m/ratings.dat", "1::1193::5::978300760\n1::661::3::978300000\n");
  write("ml-1m/movies.dat", "661::James: the Peach (1996)::Animation|Children's\n1193::Cuckoo::Drama\n");
  const Dataset data = load_dataset(path("ml-1m"));
  EXPECT_EQ(data.name, "ml-1m");
  EXPECT_THAT(history_of(data, "1"), ElementsAre("661", "1193"));
  EXPECT_EQ(title_of(data, "661"), "James: the Peach (1996)");
  EXPECT_THAT(attributes_of(data, "661"), ElementsAre("Animation", "Children's"));
}

TEST_F(MovieLensTest, ReadsTheCsvRelease) {
  write("ml-25m/ratings.csv", "userId,movieId,rating,timestamp\r\n1,11,4.5,20\r\n1,7,4.0,10\r\n");
  write("ml-25m/tags.csv", "userId,movieId,tag,timestamp\n1,11,funny,20\n");
  write("ml-25m/movies.csv",
        "movieId,title,genres\n11,\"President, The \"\"real\"\" (1995)\",Comedy|Drama\n7,Sabrina,(no genres "
        "listed)\n");
  const Dataset data = load_dataset(path("ml-25m"));
  EXPECT_THAT(history_of(data, "1"), ElementsAre("7", "11"));
  EXPECT_EQ(title_of(data, "11"), "President, The \"real\" (1995)");
  EXPECT_THAT(attributes_of(data, "11"), ElementsAre("Comedy", "Drama"));
  EXPECT_THAT(attributes_of(data, "7"), IsEmpty());
}

TEST_F(MovieLensTest, AnyRatingFileIsReadWhenTheFormatIsNamed) {
  write("fold/u1.base", "1\t2\t3\t4\n");
  EXPECT_THAT(load_error(path("fold/u1.base")), HasSubstr("the format cannot be told"));
  EXPECT_EQ(load_dataset(path("fold/u1.base"), options_with(&ImportOptions::format, "movielens")).name,
            "fold");
}

TEST_F(MovieLensTest, WrongCsvHeaderIsAnError) {
  const std::string file = write("ratings.csv", "user,movie,rating,timestamp\n1,2,3,4\n");
  EXPECT_EQ(load_error(file, options_with(&ImportOptions::format, "movielens")),
            file + ":1: the header is not 'userId,movieId,rating,timestamp'; correct it");
}

TEST_F(MovieLensTest, BrokenRatingsAreErrors) {
  EXPECT_THAT(load_error(write("a/u.data", "1\t2\t3\t4\n1\t2\t3")),
              HasSubstr("u.data:2: 3 fields where 4 are expected; the file is truncated"));
  EXPECT_THAT(load_error(write("b/u.data", "1\t2\t3\tnever\n")), HasSubstr("u.data:1: timestamp is 'never'"));
  EXPECT_THAT(load_error(write("c/u.data", "1\t2\t3\t4\n1\t2\t5\t4\n"),
                         options_with(&ImportOptions::duplicates, Duplicates::error)),
              HasSubstr("u.data:2: user '1', item '2' and time are those of line 1"));
  EXPECT_THAT(load_error(write("d/u.data", "")), HasSubstr("u.data:1: the file is empty"));
  EXPECT_THAT(load_error(write("e/ratings.csv", "userId,movieId,rating,timestamp\n")),
              HasSubstr("ratings.csv:1: there are no interactions"));
}

TEST_F(MovieLensTest, GenresAreCategories) {
  write("ml/ratings.dat", "1::1::5::1\n1::2::3::2\n");
  write("ml/movies.dat", "1::A::Action\n2::B::Action|Drama\n");
  const FeatureSource source = feature_source(load_dataset(path("ml")));
  EXPECT_EQ(source.brand_rows, 1);
  EXPECT_EQ(source.category_rows, 3);
}

TEST_F(MovieLensTest, RatingsMayBeThresholded) {
  const std::string file = write("ml/u.data", "1\t2\t3\t4\n1\t5\t4\t5\n");
  EXPECT_THAT(
      load_dataset(file).notes,
      ElementsAre("note: " + file + ": a row counts whatever its rating (data.min_rating=4 would choose)"));
  EXPECT_THAT(history_of(load_dataset(file, options_with(&ImportOptions::keep, "rating >= 4")), "1"),
              ElementsAre("5"));
}

TEST_F(MovieLensTest, TheNameIsTheFoldersHoweverItIsSpelled) {
  write("ml-tiny/u.data", "1\t2\t3\t4\n");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(path("ml-tiny"));
  for (const char* spelling :
       {".", "./u.data", "u.data", "../ml-tiny/.", "../ml-tiny/./u.data", "../ml-tiny/"}) {
    EXPECT_EQ(load_dataset(spelling).name, "ml-tiny") << spelling;
  }
  std::filesystem::create_directories("sub");
  std::filesystem::current_path("sub");
  EXPECT_EQ(load_dataset("..").name, "ml-tiny");
  std::filesystem::current_path(before);
}

TEST_F(MovieLensTest, ReadsGzip) {
  std::filesystem::create_directories(path("ml"));
  write_gzip("ml/u.data.gz", "1\t2\t3\t4\n");
  write_gzip("ml/movies.csv.gz", "movieId,title,genres\n2,\"A, B\",Drama\n");
  EXPECT_EQ(title_of(load_dataset(path("ml")), "2"), "A, B");
}

TEST_F(MovieLensTest, BrokenMoviesAreErrors) {
  write("u.data", "1\t2\t3\t4\n");
  const std::string file = write("u.item", "2|Title|date\n");
  EXPECT_THAT(load_error(path("u.data")), HasSubstr(file + ":1: 3 fields where 24 are expected"));
}

}  // namespace
}  // namespace sllmr
