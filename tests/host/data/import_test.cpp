// Finding data sets and telling formats; the formats themselves have tests of their own.
#include "host/data/import.h"

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
  EXPECT_THAT(import_formats(), ElementsAre("recbole", "amazon", "movielens", "s3rec"));
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
  EXPECT_EQ(load_dataset(write("b/toy.txt", "u1 i1 i2\nu2 i2\n"), {.format = "s3rec", .items = ""}).hash,
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
  EXPECT_EQ(load_dataset(path("toy"), {.format = "s3rec", .items = ""}).interactions(), 3);
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
      load_error(write("toy.inter", kRecbole), {.format = "recbol", .items = ""}),
      HasSubstr("unknown data format 'recbol'; choose one of auto, recbole, amazon, movielens, s3rec"));
}

TEST_F(ImportTest, ItemFileMayLieElsewhere) {
  write("a/toy.inter", kRecbole);
  write("a/toy.item", "item_id:token\ttitle:token_seq\ni1\tbeside\n");
  write("b/texts.tsv", "item_id:token\ttitle:token_seq\ni1\telsewhere\n");
  EXPECT_EQ(title_of(load_dataset(path("a/toy")), "i1"), "beside");
  EXPECT_EQ(title_of(load_dataset(path("a/toy"), {.format = "auto", .items = path("b/texts.tsv")}), "i1"),
            "elsewhere");
}

TEST_F(ImportTest, NamedItemFileMustExist) {
  write("toy.inter", kRecbole);
  EXPECT_THAT(load_error(path("toy"), {.format = "auto", .items = path("none.item")}),
              HasSubstr(path("none.item") + ": cannot be opened"));
}

}  // namespace
}  // namespace sllmr
