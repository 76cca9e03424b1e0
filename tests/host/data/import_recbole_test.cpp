#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kHeader = "user_id:token\titem_id:token\ttimestamp:float\n";

class RecBoleTest : public DataFiles {};

TEST_F(RecBoleTest, ReadsHistoriesInTimeOrderWithTextsAndAttributes) {
  write("toy.inter", kHeader + "u\tb\t20\nv\tc\t5\nu\ta\t10\nu\tc\t30\n");
  write("toy.item",
        "item_id:token\ttitle:token_seq\tattributes:token_seq\nc\t crayons  red \tx y\nb\t\ty\na\tball\t\n");
  const Dataset data = load_dataset(path("toy"));
  EXPECT_EQ(data.name, "toy");
  EXPECT_EQ(data.source, path("toy.inter"));
  EXPECT_EQ(data.interactions(), 4);
  EXPECT_THAT(tokens_of(data.users), ElementsAre("u", "v"));
  EXPECT_THAT(history_of(data, "u"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(history_of(data, "v"), ElementsAre("c"));
  EXPECT_EQ(title_of(data, "a"), "ball");
  EXPECT_EQ(title_of(data, "b"), "");
  EXPECT_EQ(title_of(data, "c"), "crayons red");
  EXPECT_THAT(attributes_of(data, "a"), IsEmpty());
  EXPECT_THAT(attributes_of(data, "c"), ElementsAre("x", "y"));
  EXPECT_TRUE(data.user_history(0).empty());
}

TEST_F(RecBoleTest, NumbersUsersByFirstLineAndItemsByHistories) {
  const Dataset data = load_dataset(write("toy.inter", kHeader + "v\tlate\t9\nu\tz\t1\nv\tearly\t2\n"));
  EXPECT_THAT(tokens_of(data.users), ElementsAre("v", "u"));
  EXPECT_THAT(tokens_of(data.items), ElementsAre("early", "late", "z"));
}

TEST_F(RecBoleTest, ColumnsMayComeInAnyOrderAmongOthers) {
  const Dataset data = load_dataset(write(
      "toy.inter", "position:float\titem_id:token\trating:float\tuser_id:token\n1\tb\t5\tu\n0\ta\t3\tu\n"));
  EXPECT_THAT(history_of(data, "u"), ElementsAre("a", "b"));
}

TEST_F(RecBoleTest, TimestampsOutrankPositions) {
  const Dataset data = load_dataset(write("toy.inter",
                                          "user_id:token\titem_id:token\tposition:float\ttimestamp:float\n"
                                          "u\ta\t0\t200\nu\tb\t1\t100\n"));
  EXPECT_THAT(history_of(data, "u"), ElementsAre("b", "a"));
}

TEST_F(RecBoleTest, EqualTimesKeepTheOrderOfTheFile) {
  const Dataset data = load_dataset(write("toy.inter", kHeader + "u\tc\t1\nu\ta\t1\nu\tz\t0\nu\tb\t1\n"));
  EXPECT_THAT(history_of(data, "u"), ElementsAre("z", "c", "a", "b"));
}

TEST_F(RecBoleTest, EqualTimesKeepTheOrderOfTheFileInLongHistories) {
  std::string text = kHeader;
  Tokens expected;
  for (int k = 0; k < 300; ++k) {
    text += "u\ti" + std::to_string(k) + "\t" + std::to_string(k % 2) + "\n";
    expected.push_back("i" + std::to_string(k < 150 ? 2 * k : 2 * (k - 150) + 1));
  }
  EXPECT_EQ(history_of(load_dataset(write("toy.inter", text)), "u"), expected);
}

TEST_F(RecBoleTest, AnItemMayBeTakenTwiceAtDifferentTimes) {
  const Dataset data = load_dataset(write("toy.inter", kHeader + "u\ta\t1\nu\tb\t2\nu\ta\t3\n"));
  EXPECT_THAT(history_of(data, "u"), ElementsAre("a", "b", "a"));
}

TEST_F(RecBoleTest, KnowsTheItemColumnsOfPublishedDataSets) {
  write("ml.inter", kHeader + "u\t1\t1\n");
  write("ml.item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\n1\tToy Story\tAnimation Comedy\n");
  EXPECT_EQ(title_of(load_dataset(path("ml")), "1"), "Toy Story");
  EXPECT_THAT(attributes_of(load_dataset(path("ml")), "1"), ElementsAre("Animation", "Comedy"));
  write("az.inter", kHeader + "u\t1\t1\n");
  write("az.item", "item_id:token\tbrand:token\tcategories:token_seq\n1\tDr. Scholl's\tfeet care feet\n");
  EXPECT_THAT(attributes_of(load_dataset(path("az")), "1"), ElementsAre("feet", "care", "Dr._Scholl's"));
}

TEST_F(RecBoleTest, ItemsWithoutRowHaveNoTextAndRowsWithoutInteractionNoId) {
  write("toy.inter", kHeader + "u\ta\t1\nu\tb\t2\n");
  write("toy.item", "item_id:token\ttitle:token_seq\nb\tball\nnever\tnothing\n");
  const Dataset data = load_dataset(path("toy"));
  EXPECT_THAT(tokens_of(data.items), ElementsAre("a", "b"));
  EXPECT_EQ(title_of(data, "a"), "");
  EXPECT_EQ(title_of(data, "b"), "ball");
}

TEST_F(RecBoleTest, WithoutAnItemFileAllTextsAreEmpty) {
  const Dataset data = load_dataset(write("toy.inter", kHeader + "u\ta\t1\n"));
  EXPECT_EQ(title_of(data, "a"), "");
  EXPECT_TRUE(data.attributes_of(1).empty());
  EXPECT_EQ(data.attributes.count(), 0);
}

TEST_F(RecBoleTest, ReadsGzip) {
  const Dataset data = load_dataset(write_gzip("toy.inter.gz", kHeader + "u\ta\t1\n"));
  EXPECT_EQ(data.name, "toy");
  EXPECT_EQ(data.interactions(), 1);
}

TEST_F(RecBoleTest, TitlesAreUtf8OrTakenForLatin1) {
  write("toy.inter", kHeader + "u\ta\t1\nu\tb\t2\nu\tc\t3\nu\td\t4\nu\te\t5\n");
  write("toy.item",
        "item_id:token\ttitle:token_"
        "seq\na\tcaf\xE9\nb\tcaf\xC3\xA9\nc\t\xE2\x82\xAC\nd\t\xED\xA0\x80\ne\t\xC1\xA1\n");
  const Dataset data = load_dataset(path("toy"));
  EXPECT_EQ(title_of(data, "a"), "caf\xC3\xA9");
  EXPECT_EQ(title_of(data, "b"), "caf\xC3\xA9");
  EXPECT_EQ(title_of(data, "c"), "\xE2\x82\xAC");
  EXPECT_EQ(title_of(data, "d"), "\xC3\xAD\xC2\xA0\xC2\x80") << "a lone surrogate is not UTF-8";
  EXPECT_EQ(title_of(data, "e"), "\xC3\x81\xC2\xA1") << "nor is an overlong sequence";
}

TEST_F(RecBoleTest, SavedDataReadBackTheSame) {
  write("toy.inter", kHeader + "v\tb\t2\nu\tc\t1\nv\ta\t1\nu\tb\t3\nw\ta\t1\n");
  write("toy.item",
        "item_id:token\ttitle:token_seq\tattributes:token_seq\nc\tred  ball\ty x\nb\t\t\na\tcar\tz y\n");
  const Dataset data = load_dataset(path("toy"));
  save_recbole(data, path("new/folder"));
  const Dataset copy = load_dataset(path("new/folder/toy"));
  EXPECT_EQ(copy.hash, data.hash);
  EXPECT_EQ(copy.name, data.name);
  EXPECT_EQ(copy.history, data.history);
  EXPECT_EQ(copy.titles, data.titles);
  EXPECT_EQ(copy.attribute_offsets, data.attribute_offsets);
  EXPECT_EQ(copy.item_attributes, data.item_attributes);
  EXPECT_EQ(tokens_of(copy.attributes), tokens_of(data.attributes));
}

TEST_F(RecBoleTest, SavingWhereNoFolderCanBeIsAnError) {
  const Dataset data = load_dataset(write("toy.inter", kHeader + "u\ta\t1\n"));
  EXPECT_THAT(error_of([&] { save_recbole(data, path("toy.inter")); }), HasSubstr(path("toy.inter")));
}

TEST_F(RecBoleTest, DuplicateInteractionNamesBothLines) {
  const std::string file = write("toy.inter", kHeader + "u\ta\t1\nv\ta\t1\nu\tb\t1\nu\tc\t1\nu\ta\t1.0\n");
  EXPECT_EQ(load_error(file),
            file + ":6: user 'u', item 'a' and time are those of line 2; delete one of the lines");
}

TEST_F(RecBoleTest, MissingColumnsAreNamed) {
  const std::string file = path("toy.inter");
  write("toy.inter", "item_id:token\ttimestamp:float\na\t1\n");
  EXPECT_EQ(load_error(file), file + ":1: the header has no column user_id; add it as name:type");
  write("toy.inter", "user_id:token\ttimestamp:float\nu\t1\n");
  EXPECT_EQ(load_error(file), file + ":1: the header has no column item_id; add it as name:type");
  write("toy.inter", "user_id:token\titem_id:token\nu\ta\n");
  EXPECT_EQ(load_error(file),
            file + ":1: the header has no column timestamp or position; add it as name:type");
  write("toy.inter", kHeader + "u\ta\t1\n");
  const std::string items = write("toy.item", "title:token_seq\nball\n");
  EXPECT_EQ(load_error(file), items + ":1: the header has no column item_id; add it as name:type");
}

TEST_F(RecBoleTest, HeaderWithoutTypesIsAnError) {
  const std::string file = write("toy.inter", "user_id\titem_id\ttimestamp\nu\ta\t1\n");
  EXPECT_THAT(load_error(file), HasSubstr(file + ":1: header 'user_id' is not name:type"));
}

TEST_F(RecBoleTest, EmptyFileIsAnError) {
  EXPECT_THAT(load_error(write("toy.inter", "")), HasSubstr("toy.inter:1: the file is empty"));
}

TEST_F(RecBoleTest, HeaderAloneIsAnError) {
  EXPECT_THAT(load_error(write("toy.inter", kHeader)), HasSubstr("toy.inter:1: there are no interactions"));
}

TEST_F(RecBoleTest, EmptyLineInTheMiddleIsAnError) {
  EXPECT_THAT(load_error(write("toy.inter", kHeader + "u\ta\t1\n\nu\tb\t2\n")),
              HasSubstr("toy.inter:3: the line is empty"));
}

TEST_F(RecBoleTest, MalformedLineIsAnError) {
  EXPECT_THAT(load_error(write("few.inter", kHeader + "u\ta\nu\tb\t2\n")),
              HasSubstr("few.inter:2: 2 fields where 3 are expected; correct or delete the line"));
  EXPECT_THAT(load_error(write("many.inter", kHeader + "u\ta\t1\t5\n")),
              HasSubstr("many.inter:2: 4 fields where 3 are expected"));
}

TEST_F(RecBoleTest, TruncatedLastLineIsAnError) {
  EXPECT_THAT(
      load_error(write("toy.inter", kHeader + "u\ta\t1\nu\tb")),
      HasSubstr("toy.inter:3: 2 fields where 3 are expected; the file is truncated here: copy it again"));
}

TEST_F(RecBoleTest, TimesThatAreNoNumbersAreErrors) {
  EXPECT_THAT(load_error(write("a.inter", kHeader + "u\ta\tnoon\n")),
              HasSubstr("a.inter:2: timestamp is 'noon'"));
  EXPECT_THAT(load_error(write("b.inter", kHeader + "u\ta\tnan\n")),
              HasSubstr("b.inter:2: timestamp is 'nan'"));
  EXPECT_THAT(load_error(write("c.inter", kHeader + "u\ta\t\n")), HasSubstr("c.inter:2: timestamp is ''"));
}

TEST_F(RecBoleTest, EmptyIdsAreErrors) {
  EXPECT_THAT(load_error(write("a.inter", kHeader + "\ta\t1\n")),
              HasSubstr("a.inter:2: the user id is empty"));
  EXPECT_THAT(load_error(write("b.inter", kHeader + "u\t\t1\n")),
              HasSubstr("b.inter:2: the item id is empty"));
  write("c.inter", kHeader + "u\ta\t1\n");
  write("c.item", "item_id:token\ttitle:token_seq\n\tball\n");
  EXPECT_THAT(load_error(path("c")), HasSubstr("c.item:2: the item id is empty"));
}

TEST_F(RecBoleTest, DuplicateItemRowNamesBothLines) {
  write("toy.inter", kHeader + "u\ta\t1\n");
  const std::string items = write("toy.item", "item_id:token\ttitle:token_seq\na\tball\na\tcar\n");
  EXPECT_EQ(load_error(path("toy")),
            items + ":3: item 'a' is described in line 2 already; delete one of the lines");
}

TEST_F(RecBoleTest, UserFileIsChecked) {
  write("toy.inter", kHeader + "u\ta\t1\n");
  write("toy.user", "user_id:token\tage:float\nu\t30\nv\t31\n");
  EXPECT_EQ(load_dataset(path("toy")).users.count(), 1);
  write("toy.user", "user_id:token\tage:float\nu\t30\nu\t31\n");
  EXPECT_THAT(load_error(path("toy")), HasSubstr("toy.user:3: user 'u' is described in line 2 already"));
  write("toy.user", "user_id:token\tage:float\nu\n");
  EXPECT_THAT(load_error(path("toy")), HasSubstr("toy.user:2: 1 fields where 2 are expected"));
}

}  // namespace
}  // namespace sllmr
