// Finding data sets and telling formats; the formats themselves have tests of their own.
#include "host/data/import.h"

#include <sys/stat.h>

#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kRecbole =
    "user_id:token\titem_id:token\tposition:float\nu1\ti1\t0\nu1\ti2\t1\nu2\ti2\t0\n";

class ImportTest : public DataFiles {};

TEST_F(ImportTest, ListsItsFormats) {
  EXPECT_THAT(import_formats(),
              ElementsAre("recbole", "amazon", "movielens", "s3rec", "kuairec", "mind", "described"));
}

TEST_F(ImportTest, FileAndPrefixAndFolderFindTheSameData) {
  const std::string file = write("set/toy.inter", kRecbole);
  const std::uint64_t hash = load_dataset(file).hash;
  EXPECT_EQ(load_dataset(path("set/toy")).hash, hash);
  EXPECT_EQ(load_dataset(path("set")).hash, hash);
  EXPECT_EQ(load_dataset(path("set/")).source, path("set/") + "toy.inter");
}

TEST_F(ImportTest, SameDataHaveTheSameHashInEveryFormat) {
  const std::uint64_t hash = load_dataset(write("a/toy.inter", kRecbole)).hash;
  EXPECT_EQ(
      load_dataset(write("b/toy.txt", "u1 i1 i2\nu2 i2\n"), options_with(&ImportOptions::format, "s3rec"))
          .hash,
      hash);
  EXPECT_EQ(load_dataset(write("c/ratings.dat", "u1::i2::5::70\nu2::i2::1::80\nu1::i1::5::60\n")).hash, hash);
  const auto review = [](const std::string& user, const std::string& item, int time) {
    return "{\"reviewerID\": \"" + user + "\", \"asin\": \"" + item +
           "\", \"unixReviewTime\": " + std::to_string(time) + "}\n";
  };
  EXPECT_EQ(
      load_dataset(write("d/r.json", review("u1", "i1", 1) + review("u2", "i2", 1) + review("u1", "i2", 2)))
          .hash,
      hash);
}

TEST_F(ImportTest, FolderWithTwoDataSetsIsAmbiguous) {
  write("set/a.inter", kRecbole);
  write("set/b.inter", kRecbole);
  EXPECT_THAT(load_error(path("set")),
              AllOf(HasSubstr("2 data sets"), HasSubstr("a.inter"), HasSubstr("b.inter")));
}

TEST_F(ImportTest, PrefixOfTwoFormatsNeedsAFormat) {
  write("toy.inter", kRecbole);
  write("toy.txt", "1 2 3 4\n");
  EXPECT_THAT(load_error(path("toy")), AllOf(HasSubstr("toy.inter (recbole)"), HasSubstr("toy.txt (s3rec)")));
  EXPECT_EQ(load_dataset(path("toy"), options_with(&ImportOptions::format, "s3rec")).interactions(), 3);
}

TEST_F(ImportTest, FolderIgnoresOtherFiles) {
  write("set/toy.inter", kRecbole);
  write("set/README.txt", "Some words about the data\n");
  write("set/meta_toy.json", "{\"asin\": \"i1\"}\n");
  write("set/empty.txt", "");
  EXPECT_EQ(load_dataset(path("set")).name, "toy");
}

TEST_F(ImportTest, MissingDataSetListsWhatWasTried) {
  EXPECT_THAT(load_error(path("none")), AllOf(HasSubstr("no such data set"), HasSubstr(path("none") + ", "),
                                              HasSubstr(path("none.inter")), HasSubstr(path("none.txt"))));
}

TEST_F(ImportTest, FolderWithoutDataIsAnError) {
  write("set/notes.md", "nothing\n");
  EXPECT_THAT(load_error(path("set")), HasSubstr("no file here looks like interactions"));
}

TEST_F(ImportTest, FileOfUnknownFormatIsAnError) {
  EXPECT_THAT(load_error(write("data.bin", "\x01\x02\n")),
              HasSubstr("the format cannot be told from name and content"));
}

TEST_F(ImportTest, UnknownFormatNameListsTheKnownOnes) {
  EXPECT_THAT(
      load_error(write("toy.inter", kRecbole), options_with(&ImportOptions::format, "recbol")),
      HasSubstr("unknown data format 'recbol'; choose one of auto, recbole, amazon, movielens, s3rec"));
}

TEST_F(ImportTest, ItemFileMayLieElsewhere) {
  write("a/toy.inter", kRecbole);
  write("a/toy.item", "item_id:token\ttitle:token_seq\ni1\tbeside\n");
  write("b/texts.tsv", "item_id:token\ttitle:token_seq\ni1\telsewhere\n");
  EXPECT_EQ(title_of(load_dataset(path("a/toy")), "i1"), "beside");
  EXPECT_EQ(
      title_of(load_dataset(path("a/toy"), options_with(&ImportOptions::items, path("b/texts.tsv"))), "i1"),
      "elsewhere");
}

TEST_F(ImportTest, FilesWithAByteOrderMarkAreRecognised) {
  const std::string mark = "\xEF\xBB\xBF";
  write("ml/ratings.csv", mark + "userId,movieId,rating,timestamp\r\n1,10,3.5,1\r\n1,20,3.5,2\r\n");
  write("ml/movies.csv", mark + "movieId,title,genres\r\n10,Ten,Drama\r\n20,B,Drama\r\n");
  EXPECT_EQ(title_of(load_dataset(path("ml")), "10"), "Ten");
  write("az/T_5.json", mark + "{\"reviewerID\": \"R\", \"asin\": \"A\", \"unixReviewTime\": 1}\n");
  EXPECT_EQ(load_dataset(path("az")).items.find("A"), 1);
  write("s3/T.txt", mark + "1 5 3 9\n2 3 5 9\n");
  EXPECT_EQ(load_dataset(path("s3")).users.find("1"), 1);
  write("rb/x.inter", mark + kRecbole);
  EXPECT_EQ(load_dataset(path("rb")).users.find("u1"), 1);
}

TEST_F(ImportTest, Utf16IsToldApartFromNoData) {
  const std::string text("\xFF\xFEu\0s\0", 6);
  write("set/ratings.csv", text);
  for (const std::string where : {"set", "set/ratings.csv"}) {
    EXPECT_THAT(load_error(path(where)),
                HasSubstr("ratings.csv is in UTF-16 or UTF-32; convert it to UTF-8"));
  }
  EXPECT_THAT(load_error(write("toy.inter", text)), HasSubstr("toy.inter:1: the file is in UTF-16"));
}

TEST_F(ImportTest, AFolderIsSearchedForTheNamedFormat) {
  write("ml/toy.inter", kRecbole);
  const std::string ratings = write("ml/ratings.csv", "userId,movieId,rating,timestamp\n1,10,3.5,1\n");
  EXPECT_EQ(load_dataset(path("ml"), options_with(&ImportOptions::format, "movielens")).source, ratings);
  write("csv/scores.csv", "user,movie,rating,timestamp\n1,10,3.5,1\n");
  EXPECT_THAT(load_error(path("csv"), options_with(&ImportOptions::format, "movielens")),
              HasSubstr("scores.csv:1: the header is not"));
  EXPECT_THAT(load_error(path("csv"), options_with(&ImportOptions::format, "recbole")),
              HasSubstr("no file here looks like recbole interactions"));
}

TEST_F(ImportTest, HiddenFilesAreNeitherReadNorWritten) {
  write("set/toy.inter", kRecbole);
  write("set/._toy.inter", "\x01\x02");
  EXPECT_EQ(load_dataset(path("set")).name, "toy");
  EXPECT_EQ(load_dataset(write("set/.hidden.inter", kRecbole)).name, "hidden");
  EXPECT_EQ(load_dataset(write("dots/.inter", kRecbole)).name, "recbole");
}

TEST_F(ImportTest, APipeIsNotReadTwice) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(load_error(path("pipe")), HasSubstr("pipe: no regular file"));
}

TEST_F(ImportTest, IdsNeedNotBeUtf8AndLinesMayBeLong) {
  const std::string user(2'000'000, 'x');
  const Dataset data = load_dataset(
      write("toy.inter", "user_id:token\titem_id:token\tposition:float\r\n" + user + "\tcaf\xE9\t1\r\n\r\n"));
  EXPECT_EQ(data.users.find(user), 1);
  EXPECT_EQ(data.items.find("caf\xE9"), 1);
}

TEST_F(ImportTest, NotesArePrintedOnce) {
  const std::string file = write("toy.inter", kRecbole + "u2\ti2\t0\n");
  testing::internal::CaptureStderr();
  load_dataset(file);
  load_dataset(file);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "note: " + file +
                ": 1 of 4 rows repeat user, item and time of another; the first is kept "
                "(data.duplicates=first)\n");
}

TEST_F(ImportTest, NamedItemFileMustExist) {
  write("toy.inter", kRecbole);
  EXPECT_THAT(load_error(path("toy"), options_with(&ImportOptions::items, path("none.item"))),
              HasSubstr(path("none.item") + ": cannot be opened"));
}

}  // namespace
}  // namespace sllmr
