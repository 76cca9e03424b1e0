#include "host/data/feature_source.h"
#include "host/data/split.h"
#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::Contains;
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
  EXPECT_THAT(attributes_of(load_dataset(path("az")), "1"), ElementsAre("Dr._Scholl's", "feet", "care"));
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

TEST_F(RecBoleTest, AnItemFileIsOursOnlyBesideInteractionsOfOurs) {
  const Dataset data = load_dataset(write("in/toy.inter", kHeader + "u\ta\t1\n"));
  const auto error = [&](bool force) {
    return error_of([&] { check_recbole_output(data, path("out"), force); });
  };
  const std::string by_hand = "item_id:token\ttitle:token_seq\tbrand:token\na\tA\tx\n";
  const std::string items = write("out/toy.item", by_hand);
  EXPECT_EQ(error(false), "'" + items +
                              "' exists and was not made by this command: name another file, or give --force "
                              "to replace it");
  EXPECT_EQ(error(true), "no error");
  save_recbole(data, path("out"));
  EXPECT_EQ(error(false), "no error");
  write("out/toy.item", by_hand);
  write("out/toy.inter", kHeader + "u\ta\t1\n");
  EXPECT_THAT(error(false), HasSubstr("toy.item' exists and was not made by this command"));
}

const std::string kTwins = kHeader + "u\ta\t1\nv\ta\t1\nu\tb\t1\nu\tc\t1\nu\ta\t1.0\nu\ta\t1\nv\ta\t2\n";

TEST_F(RecBoleTest, OneOfEqualRowsIsKeptAndTheOthersAreCounted) {
  const std::string file = write("toy.inter", kTwins);
  const Dataset first = load_dataset(file);
  EXPECT_THAT(history_of(first, "u"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(history_of(first, "v"), ElementsAre("a", "a")) << "at another time it is no duplicate";
  EXPECT_THAT(first.notes,
              ElementsAre("note: " + file +
                          ": 2 of 7 rows repeat user, item and time of another; the first is kept "
                          "(data.duplicates=first)"));
  EXPECT_THAT(history_of(load_dataset(file, options_with(&ImportOptions::duplicates, Duplicates::last)), "u"),
              ElementsAre("b", "c", "a"));
  const Dataset all = load_dataset(file, options_with(&ImportOptions::duplicates, Duplicates::keep));
  EXPECT_THAT(history_of(all, "u"), ElementsAre("a", "b", "c", "a", "a"));
  EXPECT_THAT(all.notes, IsEmpty());
  EXPECT_EQ(load_error(file, options_with(&ImportOptions::duplicates, Duplicates::error)),
            file +
                ":6: user 'u', item 'a' and time are those of line 2; 2 such rows in all: set "
                "data.duplicates to first, last or keep, or delete them");
}

TEST_F(RecBoleTest, RowsWithoutAPositiveLabelAreLeftOut) {
  const auto with = [&](const std::string& column) {
    return write("toy.inter",
                 "user_id:token\titem_id:token\t" + column +
                     "\ttimestamp:float\nu\ta\t1\t1\nu\tb\t0\t2\nu\tc\t1\t3\nv\td\t-1\t1\nv\ta\t1\t1\n");
  };
  for (const std::string column : {"label:float", "is_click:token", "click:float"}) {
    const std::string file = with(column);
    const Dataset data = load_dataset(file);
    EXPECT_THAT(history_of(data, "u"), ElementsAre("a", "c"));
    EXPECT_THAT(history_of(data, "v"), ElementsAre("a"));
    const std::string name = column.substr(0, column.find(':'));
    // b was shown when u took nothing.
    EXPECT_THAT(negatives_of(data, "u"), ElementsAre(IsEmpty(), IsEmpty()));
    EXPECT_THAT(negatives_of(data, "v"), ElementsAre(ElementsAre("d")));
    EXPECT_THAT(tokens_of(data.items), ElementsAre("a", "c", "d"));
    EXPECT_THAT(data.notes,
                ElementsAre("note: " + file + ": 2 of 5 rows are negatives, as they are not " + name +
                                " > 0 (data.keep=auto)",
                            "note: " + file +
                                ": 1 items that were shown beside 1 interactions and not taken are negatives "
                                "(data.negatives=shown); 1 are not: their users took nothing that counts at "
                                "that time, or them, or were shown them twice"));
  }
  EXPECT_EQ(load_dataset(with("label:float"), options_with(&ImportOptions::keep, "all")).interactions(), 5);
  EXPECT_EQ(
      load_dataset(with("label:float"), options_with(&ImportOptions::keep, "label >= 0")).interactions(), 4);
}

TEST_F(RecBoleTest, NegativesAreWrittenAndReadBack) {
  const Dataset data = load_dataset(write("toy.inter",
                                          "user_id:token\titem_id:token\tlabel:float\ttimestamp:"
                                          "float\nu\ta\t1\t1\nu\tx\t0\t2\nu\tb\t0\t2\nu\tb\t1\t2\n"
                                          "u\tc\t1\t2\nv\tb\t1\t1\nv\ty\t0\t1\n"));
  // What was taken at that time is no negative.
  EXPECT_THAT(negatives_of(data, "u"), ElementsAre(IsEmpty(), ElementsAre("x"), ElementsAre("x")));
  check_recbole_output(data, path("out"), false);
  save_recbole(data, path("out"));
  const Dataset again = load_dataset(path("out/toy.inter"));
  EXPECT_EQ(again.hash, data.hash);
  EXPECT_EQ(negatives_of(again, "u"), negatives_of(data, "u"));
  check_recbole_output(data, path("out"), false);  // its own files may be written again
}

/// What is shown in the test is not known in training, whatever the times.
TEST_F(RecBoleTest, NegativesStayInTheirPart) {
  const std::string header = "user_id:token\titem_id:token\ttimestamp:float\tlabel:float\n";
  write("pre.train.inter", header + "u\ta\t1\t1\nu\tb\t2\t1\nu\tc\t3\t1\nu\tm\t3\t0\n");
  write("pre.valid.inter", header + "u\td\t3\t1\n");
  write("pre.test.inter", header + "u\te\t3\t1\nu\tn\t3\t0\nu\ta\t3\t0\n");
  const Dataset data = load_dataset(path("pre"));
  EXPECT_THAT(negatives_of(data, "u"),
              ElementsAre(IsEmpty(), IsEmpty(), ElementsAre("m"), IsEmpty(), ElementsAre("n", "a")));
  save_recbole(data, path("out"));
  EXPECT_EQ(load_dataset(path("out")).hash, data.hash);
}

/// As if there were no other lines.
TEST_F(RecBoleTest, AUserThatACoreLeavesOutLeavesNoTrace) {
  const std::string rows =
      "user_id:token\titem_id:token\ttimestamp:float\tlabel:float\nu1\ta\t1\t0\nu2\tb\t1\t1\nu1\tc\t1\t1\n";
  const std::string rest = "u2\tc\t2\t1\nu1\tb\t2\t1\nu2\tc\t3\t1\n";
  const ImportOptions core = options_with(&ImportOptions::core, 2);
  const std::uint64_t without = load_dataset(write("toy.inter", rows + rest), core).hash;
  EXPECT_EQ(load_dataset(write("toy.inter", rows + "u3\tz\t5\t1\n" + rest), core).hash, without);
}

/// Without times nothing says beside what an item was shown.
TEST_F(RecBoleTest, LabelsOfPartsWithoutTimesTellNoNegatives) {
  const std::string header = "user_id:token\titem_id:token\tlabel:float\n";
  write("pre.train.inter", header + "u\ta\t1\nu\tb\t1\nu\tc\t0\n");
  write("pre.valid.inter", header + "u\td\t1\n");
  write("pre.test.inter", header + "u\te\t1\n");
  const Dataset data = load_dataset(path("pre"));
  EXPECT_THAT(data.negatives, IsEmpty());
  EXPECT_THAT(data.notes, Contains("note: " + path("pre.train.inter") +
                                   ": 1 of 3 rows are left out, as they are not label > 0 (data.keep=auto)"));
}

TEST_F(RecBoleTest, RatingsAreThresholdedWhereThatIsAskedFor) {
  const std::string file = write("toy.inter",
                                 "user_id:token\titem_id:token\trating:float\ttimestamp:float\tprice:float\n"
                                 "u\ta\t5\t1\t9\nu\tb\t2\t2\t9\nu\tc\t4\t3\t8\n");
  const Dataset all = load_dataset(file);
  EXPECT_EQ(all.interactions(), 3);
  EXPECT_THAT(all.notes, ElementsAre(AllOf(HasSubstr("a row counts whatever its rating"),
                                           HasSubstr("not used: price"))));
  EXPECT_THAT(history_of(load_dataset(file, options_with(&ImportOptions::keep, "rating >= 4")), "u"),
              ElementsAre("a", "c"));
  EXPECT_THAT(history_of(load_dataset(file, options_with(&ImportOptions::keep, "rating>=4, price < 9")), "u"),
              ElementsAre("c"));
  EXPECT_THAT(history_of(load_dataset(file, options_with(&ImportOptions::keep, "rating != 5")), "u"),
              ElementsAre("b", "c"));
  EXPECT_THAT(load_error(file, options_with(&ImportOptions::keep, "stars > 3")),
              AllOf(HasSubstr("no column 'stars'"), HasSubstr("rating, price")));
  for (const char* malformed :
       {"", "rating", "rating >", "> 3", "rating => x", "rating >= 4,", "rating >= nanx", "rating > nan",
        "rating < inf", "rating > -inf", "rating >= +-4", "rating >= 1e400"}) {
    EXPECT_THAT(load_error(file, options_with(&ImportOptions::keep, malformed)), HasSubstr("data.keep is '"))
        << malformed;
  }
  EXPECT_THAT(load_error(file, options_with(&ImportOptions::keep, "rating > 5")),
              HasSubstr("there are no interactions"));
}

TEST_F(RecBoleTest, LabelsThatAreNoNumbersAreErrors) {
  const std::string header = "user_id:token\titem_id:token\ttimestamp:float\tlabel:token\n";
  EXPECT_EQ(load_dataset(write("a.inter", header + "u\ta\t1\tTrue\nu\tb\t2\tfalse\n")).interactions(), 1);
  EXPECT_THAT(load_error(write("b.inter", header + "u\ta\t1\tyes\n")),
              HasSubstr("b.inter:2: label is 'yes', not a finite number"));
  EXPECT_THAT(load_error(write("c.inter", header + "u\ta\t1\t\n")), HasSubstr("c.inter:2: label is ''"));
  EXPECT_THAT(load_error(write("d.inter", header + "u\ta\t1\tinf\n")),
              HasSubstr("d.inter:2: label is 'inf'"));
}

TEST_F(RecBoleTest, LabelsAndThresholdsMayHaveAPlusAndBlanks) {
  const std::string file = write("toy.inter",
                                 "user_id:token\titem_id:token\ttimestamp:float\tlabel:float\n"
                                 "u\ta\t1\t+1\nu\tb\t2\t 1\nu\tc\t3\t+0 \nu\td\t4\t -1\nu\te\t5\t+2e0\n");
  EXPECT_THAT(history_of(load_dataset(file), "u"), ElementsAre("a", "b", "e"));
  EXPECT_THAT(history_of(load_dataset(file, options_with(&ImportOptions::keep, "label > +1")), "u"),
              ElementsAre("e"));
}

TEST_F(RecBoleTest, LabelledColumnsAreWhatTheirLabelsSay) {
  const std::string interactions = kHeader + "u\t1\t1\nu\t2\t2\nu\t3\t3\n";
  const auto load = [&](const std::string& name, const std::string& items) {
    write(name + ".inter", interactions);
    write(name + ".item", items);
    return load_dataset(path(name));
  };
  const Dataset brand_first = load("first",
                                   "item_id:token\ttitle:token_seq\tattributes:token_seq\n"
                                   "1\tx\tacme hair skin\n2\ty\tzeta hair oil\n3\tz\tacme skin\n");
  const Dataset brand_last = load("last",
                                  "item_id:token\tcategories:token_seq\ttitle:token_seq\tbrand:token\n"
                                  "1\thair skin\tx\tacme\n2\thair oil\ty\tzeta\n3\tskin\tz\tacme\n");
  const Dataset in_the_middle =
      load("middle",
           "item_id:token\tbrand:token\ttitle:token_seq\tgenres:token_seq\n"
           "1\tacme\tx\t'hair', 'skin'\n2\tzeta\ty\thair oil\n3\tacme\tz\t['skin']\n");
  EXPECT_EQ(brand_last.feature_hash, brand_first.feature_hash);
  EXPECT_EQ(in_the_middle.feature_hash, brand_first.feature_hash);
  EXPECT_EQ(brand_last.text_hash, brand_first.text_hash);
  for (const Dataset* data : {&brand_last, &in_the_middle}) {
    EXPECT_EQ(feature_source(*data).brands, feature_source(brand_first).brands);
    EXPECT_EQ(feature_source(*data).categories, feature_source(brand_first).categories);
  }
}

TEST_F(RecBoleTest, CategoriesAreNeverBrandsAndABrandMayHaveBlanks) {
  write("toy.inter", kHeader + "u\ta\t1\nu\tb\t2\nu\tc\t3\n");
  for (const std::string column : {"categories", "category", "class", "genre", "genres"}) {
    write("toy.item", "item_id:token\t" + column + ":token_seq\na\tAction War\nb\tAction\nc\tDrama\n");
    const FeatureSource source = feature_source(load_dataset(path("toy")));
    EXPECT_EQ(source.brand_rows, 1) << column;
    EXPECT_EQ(source.category_rows, 4) << column;
  }
  write("toy.item",
        "item_id:token\ttitle:token_seq\tcategories:token_seq\tbrand:token\n"
        "a\tA\t'Toys & Games', 'Pretend Play'\tBrand One\nb\tB\t'Toys & Games', 'Arts & Crafts'\tBrand Two\n"
        "c\tC\t\tBrand One\n");
  const Dataset data = load_dataset(path("toy"));
  EXPECT_THAT(attributes_of(data, "a"), ElementsAre("Brand_One", "Toys_&_Games", "Pretend_Play"));
  EXPECT_THAT(tokens_of(data.attributes),
              ElementsAre("Brand_One", "Toys_&_Games", "Pretend_Play", "Brand_Two", "Arts_&_Crafts"));
  EXPECT_EQ(feature_source(data).brands, (std::vector<Id>{0, 1, 2, 1}));
}

TEST_F(RecBoleTest, LabelledAttributesReadBackTheSame) {
  write("toy.inter", kHeader + "u\ta\t1\nu\tb\t2\nu\tc\t3\n");
  write("toy.item",
        "item_id:token\tgenres:token_seq\tbrand:token\tattributes:token_seq\n"
        "a\t'it\\'s, \"so\"', 'A|B'\tBrand One\tx\nb\t\t'47 Brand\t\nc\t[skin, 'Brand One']\t\ty x\n");
  const Dataset data = load_dataset(path("toy"));
  save_recbole(data, path("copy"));
  const Dataset copy = load_dataset(path("copy"));
  EXPECT_EQ(copy.feature_hash, data.feature_hash);
  EXPECT_EQ(copy.text_hash, data.text_hash);
  EXPECT_EQ(copy.attribute_kinds, data.attribute_kinds);
  EXPECT_EQ(copy.item_attributes, data.item_attributes);
  EXPECT_EQ(tokens_of(copy.attributes), tokens_of(data.attributes));
}

TEST_F(RecBoleTest, OtherItemColumnsAndSecondBrandsAreNoted) {
  write("toy.inter", kHeader + "u\ta\t1\n");
  const std::string items =
      write("toy.item", "item_id:token\tprice:float\tbrand:token\tsales_rank:float\na\t3\t'x', 'y'\t7\n");
  const Dataset data = load_dataset(path("toy"));
  EXPECT_THAT(data.notes, ElementsAre("note: " + items + ": not used: price, sales_rank",
                                      "note: " + items +
                                          ": 1 items have several brands; deep backbones read "
                                          "the first"));
}

TEST_F(RecBoleTest, TimesBeyondThePrecisionOfADoubleKeepTheirOrder) {
  EXPECT_THAT(history_of(load_dataset(write("toy.inter", kHeader + "u\tc\t1700000000123456791\n"
                                                                   "u\ta\t1700000000123456789\n"
                                                                   "u\tb\t1700000000123456790\n")),
                         "u"),
              ElementsAre("a", "b", "c"));
}

class GivenSplitTest : public DataFiles {
 protected:
  GivenSplitTest() {
    write("pre/pre.train.inter", kHeader + "u\tb\t2\nu\ta\t1\nv\tc\t9\nw\te\t1\n");
    write("pre/pre.valid.inter", kHeader + "u\tc\t0\n");
    write("pre/pre.test.inter", kHeader + "v\ta\t1\nu\td\t5\n");
    write("pre/pre.item", "item_id:token\ttitle:token_seq\na\tA\nb\tB\nc\tC\nd\tD\n");
  }
};

TEST_F(GivenSplitTest, IsReadAsItIsByPrefixAndByFolder) {
  for (const std::string where : {"pre/pre", "pre"}) {
    const Dataset data = load_dataset(path(where));
    EXPECT_EQ(data.name, "pre");
    EXPECT_THAT(history_of(data, "u"), ElementsAre("a", "b", "c", "d"));
    EXPECT_THAT(history_of(data, "v"), ElementsAre("c", "a")) << "the test item is last whatever its time";
    EXPECT_EQ(title_of(data, "d"), "D");
    const Split split = leave_one_out(data);
    const auto item = [&](const char* token) { return data.items.find(token); };
    EXPECT_THAT(split.train_size, ElementsAre(0, 2, 1, 1));
    EXPECT_THAT(split.validation, ElementsAre(0, item("c"), 0, 0));
    EXPECT_THAT(split.test, ElementsAre(0, item("d"), item("a"), 0));
    const auto train = ctr_train_rows(split, 1);
    ASSERT_EQ(train.size(), 2U);
    EXPECT_EQ(train[0].item, item("b"));
    const auto test = ctr_test_rows(split, 1), validation = ctr_validation_rows(split, 1);
    ASSERT_EQ(test.size(), 4U);
    EXPECT_EQ(test[0].position, 3);
    EXPECT_EQ(test[2].position, 1);
    ASSERT_EQ(validation.size(), 2U);
    EXPECT_EQ(validation[0].position, 2);
    EXPECT_EQ(data_stats(split).ctr_rows, 2);
  }
}

TEST_F(GivenSplitTest, TheHashTellsItFromLeaveOneOut) {
  const Dataset given = load_dataset(path("pre"));
  Dataset other = given;
  other.held_out.clear();
  EXPECT_NE(content_hash(other), given.hash) << "v's test item would train";
  write("same/x.train.inter", kHeader + "u\ta\t1\nv\ta\t1\n");
  write("same/x.valid.inter", kHeader + "u\tb\t2\nv\tc\t3\n");
  write("same/x.test.inter", kHeader + "u\tc\t3\nv\tb\t4\n");
  EXPECT_EQ(load_dataset(path("same")).hash,
            load_dataset(path("same"), options_with(&ImportOptions::split, SplitSource::leave_one_out)).hash);
}

TEST_F(GivenSplitTest, MayBeJoinedAndSplitAnew) {
  const Dataset data =
      load_dataset(path("pre"), options_with(&ImportOptions::split, SplitSource::leave_one_out));
  EXPECT_THAT(history_of(data, "u"), ElementsAre("c", "a", "b", "d"));
  EXPECT_TRUE(data.held_out.empty());
}

TEST_F(GivenSplitTest, OnePartAloneHasItsTextsAndSaysThatItIsOne) {
  const Dataset data = load_dataset(path("pre/pre.train.inter"));
  EXPECT_EQ(data.name, "pre");
  EXPECT_EQ(data.interactions(), 4);
  EXPECT_EQ(title_of(data, "a"), "A");
  EXPECT_THAT(data.notes, testing::Contains(HasSubstr("one part of a data set that came split")));
  EXPECT_EQ(load_dataset(path("pre/pre.train.inter"), options_with(&ImportOptions::split, SplitSource::given))
                .interactions(),
            7);
}

TEST_F(GivenSplitTest, ReadsBackTheSame) {
  const Dataset data = load_dataset(path("pre"));
  save_recbole(data, path("copy"));
  const Dataset copy = load_dataset(path("copy/pre"));
  EXPECT_EQ(copy.hash, data.hash);
  EXPECT_EQ(copy.history, data.history);
}

TEST_F(GivenSplitTest, IsNotWrittenBesideTheWholeNorTheWholeBesideIt) {
  const Dataset split = load_dataset(path("pre"));
  const Dataset whole = load_dataset(write("one/pre.inter", kHeader + "u\ta\t1\n"));
  save_recbole(split, path("a"));
  save_recbole(whole, path("b"));
  const auto error = [&](const Dataset& data, const std::string& folder, bool force) {
    return error_of([&] { check_recbole_output(data, path(folder), force); });
  };
  EXPECT_EQ(error(split, "a", false), "no error");
  EXPECT_EQ(
      error(whole, "a", false),
      "'" + path("a/pre.train.inter") +
          "' holds 'pre' with a split, and of the two forms one is read: remove it, name another folder "
          "for the output, or give --force");
  EXPECT_EQ(error(whole, "a", true), "no error");
  EXPECT_THAT(error(split, "b", false), HasSubstr("pre.inter' holds 'pre' without a split"));
  std::filesystem::remove_all(path("b"));
  std::filesystem::create_directories(path("b"));
  write_gzip("b/pre.inter.gz", kHeader + "u\ta\t1\n");
  EXPECT_THAT(error(split, "b", false), HasSubstr("pre.inter.gz' holds"));
}

TEST_F(GivenSplitTest, WhatCannotBeRankedIsAnError) {
  const std::string test = write("pre/pre.test.inter", kHeader + "u\td\t5\nv\ta\t1\nu\tb\t6\n");
  EXPECT_EQ(load_error(path("pre")), test +
                                         ":4: user 'u' has a test item in line 2 already, and one a user is "
                                         "ranked; keep one, or set data.split=leave_one_out");
  write("pre/pre.test.inter", kHeader + "u\ta\t1\n");
  EXPECT_THAT(load_error(path("pre")),
              HasSubstr("pre.test.inter:2: user 'u', item 'a' and time are those of " +
                        path("pre/pre.train.inter") + ":3, so what is tested was trained on"));
  std::filesystem::remove(test);
  EXPECT_THAT(load_error(path("pre")), HasSubstr("pre.test.inter is missing"));
}

TEST_F(GivenSplitTest, AWholeFileBesideThePartsIsReadUnlessTheSplitIsAskedFor) {
  const std::string whole = write("pre/pre.inter", kHeader + "u\ta\t1\nu\tb\t2\n");
  const auto of_the_split = HasSubstr("read without the split");
  for (const std::string where : {"pre", "pre/pre"}) {
    const Dataset data = load_dataset(path(where));
    EXPECT_EQ(data.interactions(), 2);
    EXPECT_EQ(data.notes.front(), "note: " + whole + ": read without the split that lies beside it (" +
                                      path("pre/pre.train.inter") + ", " + path("pre/pre.valid.inter") +
                                      ", " + path("pre/pre.test.inter") + "); data.split=given reads that");
  }
  EXPECT_THAT(
      load_dataset(path("pre"), options_with(&ImportOptions::split, SplitSource::leave_one_out)).notes,
      testing::Not(testing::Contains(of_the_split)));
  EXPECT_EQ(
      load_dataset(path("pre/pre"), options_with(&ImportOptions::split, SplitSource::given)).interactions(),
      7);
  EXPECT_THAT(load_error(write("one/one.inter", kHeader + "u\ta\t1\n"),
                         options_with(&ImportOptions::split, SplitSource::given)),
              HasSubstr("came without a split"));
}

TEST_F(GivenSplitTest, NeedsNoTimes) {
  write("x.train.inter", "user_id:token\titem_id:token\nu\tb\nu\ta\n");
  write("x.test.inter", "user_id:token\titem_id:token\nu\tc\n");
  EXPECT_THAT(history_of(load_dataset(path("x")), "u"), ElementsAre("b", "a", "c"));
}

TEST_F(GivenSplitTest, RowsWithoutTimesRepeatWhereUserAndItemDo) {
  const std::string header = "user_id:token\titem_id:token\n";
  const std::string train = write("g/g.train.inter", header + "u\ta\nu\tb\nu\tb\nu\tc\n");
  write("g/g.valid.inter", header + "u\td\n");
  write("g/g.test.inter", header + "u\te\n");
  const Dataset data = load_dataset(path("g"));
  EXPECT_THAT(history_of(data, "u"), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(data.notes, ElementsAre("note: " + train +
                                      ": 1 of 6 rows repeat user and item of another; the first is kept "
                                      "(data.duplicates=first)"));
  const auto overlap = [&](const std::string& test, int line) {
    return test + ":2: user 'u' and item 'c' are those of " + train + ":" + std::to_string(line) +
           ", so what is tested was trained on; delete one of the lines, or set data.duplicates=keep";
  };
  const std::string test = write("g/g.test.inter", header + "u\tc\n");
  EXPECT_EQ(load_error(path("g")), overlap(test, 5));
  EXPECT_THAT(
      history_of(load_dataset(path("g"), options_with(&ImportOptions::duplicates, Duplicates::keep)), "u"),
      ElementsAre("a", "b", "b", "c", "d", "c"));
  write("g/g.train.inter", kHeader + "u\ta\t-1\nu\tc\t-2\nu\tc\t-3\n");
  EXPECT_THAT(load_error(path("g")), HasSubstr("user 'u' and item 'c' are those of "))
      << "one of the two files has times";
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

TEST_F(RecBoleTest, AColumnMayBeThereOnce) {
  EXPECT_THAT(
      load_error(write("toy.inter", "user_id:token\titem_id:token\titem_id:token\ttimestamp:float\n")),
      HasSubstr("toy.inter:1: the header has 'item_id' twice"));
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

TEST_F(RecBoleTest, ItemsDescribedTwiceAreCounted) {
  write("toy.inter", kHeader + "u\ta\t1\nu\tb\t2\n");
  const std::string items =
      write("toy.item", "item_id:token\ttitle:token_seq\na\tball\na\tball\nb\tred\na\tcar\n");
  const Dataset data = load_dataset(path("toy"));
  EXPECT_EQ(title_of(data, "a"), "ball");
  EXPECT_THAT(data.notes, ElementsAre("note: " + items +
                                      ": 2 lines describe an item again, 1 of them otherwise; the first one "
                                      "counts (data.duplicates)"));
  EXPECT_EQ(
      title_of(load_dataset(path("toy"), options_with(&ImportOptions::duplicates, Duplicates::last)), "a"),
      "car");
  EXPECT_EQ(load_error(path("toy"), options_with(&ImportOptions::duplicates, Duplicates::error)),
            items +
                ":3: item 'a' is described in line 2 already; 2 such lines in all: set data.duplicates to "
                "first or last, or delete them");
}

TEST_F(RecBoleTest, FilesThatDescribeOtherItemsOrUsersAreToldOf) {
  write("toy.inter", kHeader + "1\t7\t1\n1\t8\t2\n");
  const std::string items =
      write("toy.item", "item_id:token\ttitle:token_seq\n7.0\tball\n8.0\tcar\n9.0\tx\n");
  const std::string users = write("toy.user", "user_id:token\tage:float\n1.0\t30\n");
  EXPECT_THAT(load_dataset(path("toy")).notes,
              ElementsAre(HasSubstr("warning: " + items +
                                    ": 0 of the 2 items are described; 3 of 3 lines describe none of them"),
                          HasSubstr("warning: " + users + ": 0 of the 1 users are described")));
  EXPECT_THAT(load_error(path("toy"), options_with(&ImportOptions::min_described, 0.5)),
              HasSubstr(items + ": 0 of 2 items are described, a smaller share than data.min_described=0.5"));
  std::filesystem::remove(items);
  std::filesystem::remove(users);
  EXPECT_THAT(load_dataset(path("toy")).notes, IsEmpty());
}

TEST_F(RecBoleTest, ItemsAreDescribedByATitleOrAttributes) {
  const std::string file = write("toy.inter", kHeader + "u\ta\t1\nu\tb\t2\n");
  const auto half = options_with(&ImportOptions::min_described, 0.5);
  EXPECT_THAT(load_error(file, half),
              HasSubstr(file + ": 0 of 2 items are described, a smaller share than data.min_described=0.5"));
  const std::string header = "item_id:token\ttitle:token_seq\tattributes:token_seq\n";
  const std::string items = write("toy.item", header + "a\t \t\nb\t\t\n");
  EXPECT_THAT(load_error(file, half), HasSubstr(items + ": 0 of 2 items are described"));
  for (const std::string line : {"b\tball\t\n", "b\t\tred\n"}) {
    write("toy.item", header + "a\t\t\n" + line);
    EXPECT_EQ(load_error(file, half), "no error");
    EXPECT_THAT(load_error(file, options_with(&ImportOptions::min_described, 0.6)),
                HasSubstr(items + ": 1 of 2 items are described"));
  }
}

TEST_F(RecBoleTest, UserFileIsChecked) {
  write("toy.inter", kHeader + "u\ta\t1\n");
  write("toy.user", "user_id:token\tage:float\nu\t30\nv\t31\n");
  EXPECT_EQ(load_dataset(path("toy")).users.count(), 1);
  write("toy.user", "user_id:token\tage:float\nu\t30\nu\t31\n");
  EXPECT_THAT(load_error(path("toy"), options_with(&ImportOptions::duplicates, Duplicates::error)),
              HasSubstr("toy.user:3: user 'u' is described in line 2 already; 1 in all"));
  EXPECT_THAT(load_dataset(path("toy")).notes, ElementsAre(HasSubstr("1 lines describe a user again")));
  write("toy.user", "user_id:token\tage:float\nu\n");
  EXPECT_THAT(load_error(path("toy")), HasSubstr("toy.user:2: 1 fields where 2 are expected"));
}

}  // namespace
}  // namespace sllmr
