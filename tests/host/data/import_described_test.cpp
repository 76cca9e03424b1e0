#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class DescribedTest : public DataFiles {
 protected:
  /// A table of rows "u i t" behind a description with these further lines.
  std::string error_of_table(const std::string& more, const std::string& rows) const {
    write("rows.csv", rows);
    return load_error(write("toy.toml",
                            "[interactions]\nfile = \"rows.csv\"\nseparator = \",\"\n"
                            "user = \"u\"\nitem = \"i\"\n" +
                                more));
  }
};

/// As Yelp's reviews and businesses are.
TEST_F(DescribedTest, ReadsJsonLines) {
  write("review.json",
        R"({"user_id": "A", "business_id": "X", "stars": 5, "useful": true, "date": "2018-07-07 22:09:11"})"
        "\n"
        R"({"user_id": "A", "business_id": "Y", "stars": 2, "useful": false, "date": "2012-01-03 15:28:18"})"
        "\n");
  write("business.json", R"({"business_id": "X", "name": "Caf\u00e9", "categories": "Food, Coffee & Tea"})"
                         "\n"
                         R"({"business_id": "Y", "name": "Bar", "categories": null})"
                         "\n");
  write(
      "yelp.toml",
      "[interactions]\nfile = \"review.json\"\nuser = \"user_id\"\nitem = \"business_id\"\ntime = \"date\"\n"
      "time_format = \"%Y-%m-%d %H:%M:%S\"\n[items]\nfile = \"business.json\"\nitem = \"business_id\"\n"
      "title = \"name\"\ncategories = \"categories\"\nlist_separator = \", \"\n");
  const Dataset data = load_dataset(path("yelp"));
  EXPECT_EQ(data.name, "yelp");
  EXPECT_THAT(history_of(data, "A"), ElementsAre("Y", "X"));
  EXPECT_EQ(title_of(data, "X"), "Caf\xC3\xA9");
  EXPECT_THAT(attributes_of(data, "X"), ElementsAre("Food", "Coffee_&_Tea"));
  EXPECT_THAT(attributes_of(data, "Y"), testing::IsEmpty());
  const Dataset liked =
      load_dataset(path("yelp.toml"), options_with(&ImportOptions::keep, "stars >= 4, useful > 0"));
  EXPECT_THAT(history_of(liked, "A"), ElementsAre("X"));
}

/// As Gowalla's check-ins: no header, tabs, another order.
TEST_F(DescribedTest, ReadsATableWithoutHeader) {
  write_gzip("checkins.txt.gz",
             "0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22847\n0\t2010-10-18T22:17:43Z\t30.3\t-97.7\t420315\n");
  write("gowalla.toml",
        "[interactions]\nfile = \"checkins.txt.gz\"\nseparator = \"\\t\"\n"
        "columns = [\"user\", \"time\", \"lat\", \"lon\", \"place\"]\nuser = \"user\"\nitem = "
        "\"place\"\ntime = \"time\"\n"
        "time_format = \"%Y-%m-%dT%H:%M:%SZ\"\n");
  const Dataset data = load_dataset(path("gowalla"));
  EXPECT_THAT(history_of(data, "0"), ElementsAre("420315", "22847"));
}

/// As Steam's reviews, which Python printed; and rows without times are in their order.
TEST_F(DescribedTest, ReadsPythonDictionariesInTheirOrder) {
  write("steam.json",
        "{u'username': u'Al', u'product_id': u'70', u'found_funny': 1}\n"
        "{u'username': u'Al', u'product_id': u'10'}\n");
  write("steam.toml", "[interactions]\nfile = \"steam.json\"\nuser = \"username\"\nitem = \"product_id\"\n");
  EXPECT_THAT(history_of(load_dataset(path("steam")), "Al"), ElementsAre("70", "10"));
}

TEST_F(DescribedTest, ReadsQuotedCellsAndLongSeparators) {
  write("r.csv", "user,item,when\nA,\"x, y\",2\nA,\"say \"\"hi\"\"\",1\n");
  write("r.toml",
        "[interactions]\nfile = \"r.csv\"\nseparator = \",\"\nuser = \"user\"\nitem = \"item\"\ntime = "
        "\"when\"\n"
        "[items]\nfile = \"items.dat\"\nseparator = \"::\"\ncolumns = [\"id\", \"name\", \"maker\", "
        "\"kinds\"]\n"
        "item = \"id\"\ntitle = \"name\"\nbrand = \"maker\"\ncategories = \"kinds\"\n");
  write("items.dat", "x, y::Cup::Acme::['Kitchen', 'Cups']\nnobody::No::No::No\n");
  const Dataset data = load_dataset(path("r"));
  EXPECT_THAT(history_of(data, "A"), ElementsAre("say \"hi\"", "x, y"));
  EXPECT_THAT(attributes_of(data, "x, y"), ElementsAre("Acme", "Kitchen", "Cups"));
}

/// As FuxiCTR's AmazonElectronics: labels, no times, histories and attributes joined by ^ in the rows
/// themselves.
class FuxiCtr : public DescribedTest {
 protected:
  FuxiCtr() {
    write("train.csv",
          "label,user_id,item_id,cate_id,item_history,cate_history\r\n"
          "1.0,u1,i4,c1^c2,i1^i2^i3,c1^c2^c1\r\n"
          "0,u1,i9,c2,i1^i2,c1^c2\r\n"
          "1,u1,i3,c1,i1^i2,c1^c2\r\n"
          "0,u2,i9,c2,\"i5\",c1\r\n"
          "1,u3,i1,c1,,\r\n");
    write("test.csv",
          "label,user_id,item_id,cate_id,item_history,cate_history\n"
          "1,u1,i6,c3,i1^i2^i3^i4,c1^c2^c1^c1\n"
          "1,u2,i1,c1,i5,c1\n");
  }
  std::string description(const std::string& more = "") const {
    return write(
        "fuxi.toml",
        "[interactions]\nfile = [\"train.csv\", \"test.csv\"]\nseparator = \",\"\nuser = \"user_id\"\n"
        "item = \"item_id\"\nhistory = \"item_history\"\nhistory_separator = \"^\"\n" +
            more + "[items]\nitem = \"item_id\"\ncategories = \"cate_id\"\nlist_separator = \"^\"\n");
  }
};

TEST_F(FuxiCtr, PositivesFollowTheHistoryOfTheEarliestRow) {
  const Dataset data = load_dataset(description());
  EXPECT_THAT(history_of(data, "u1"), ElementsAre("i1", "i2", "i3", "i4", "i6"));
  EXPECT_THAT(history_of(data, "u2"), ElementsAre("i5", "i1"));
  EXPECT_THAT(history_of(data, "u3"), ElementsAre("i1"));
  EXPECT_THAT(attributes_of(data, "i4"), ElementsAre("c1", "c2"));
  EXPECT_THAT(attributes_of(data, "i3"), ElementsAre("c1"));
  // A negative belongs to what followed a history of the same length, in whichever file.
  EXPECT_THAT(negatives_of(data, "u1"),
              ElementsAre(IsEmpty(), IsEmpty(), ElementsAre("i9"), IsEmpty(), IsEmpty()));
  EXPECT_THAT(negatives_of(data, "u2"), ElementsAre(IsEmpty(), ElementsAre("i9")));
  EXPECT_EQ(tokens_of(data.items).back(), "i9");  // nobody took it
  EXPECT_THAT(data.notes,
              testing::IsSupersetOf(
                  {"note: " + path("train.csv") +
                       ": 2 items that were shown beside 2 interactions and not taken are negatives "
                       "(data.negatives=shown)",
                   "note: " + path("train.csv") +
                       ": 2 of 5 rows are negatives, as they are not label > 0 (data.keep=auto); not used: "
                       "cate_history",
                   "note: " + path("test.csv") + ": not used: cate_history"}));
}

TEST_F(FuxiCtr, NegativesMayBeLeftOut) {
  const Dataset shown = load_dataset(description()),
                drawn =
                    load_dataset(description(), options_with(&ImportOptions::negatives, Negatives::drawn));
  EXPECT_THAT(drawn.negatives, IsEmpty());
  EXPECT_EQ(drawn.items.find("i9"), 0);
  EXPECT_THAT(drawn.notes, Contains("note: " + path("train.csv") +
                                    ": 2 of 5 rows are left out, as they are not label > 0 (data.keep=auto); "
                                    "not used: cate_history"));
  EXPECT_EQ(history_of(drawn, "u1"), history_of(shown, "u1"));
  EXPECT_NE(drawn.hash, shown.hash);
}

/// The two labels are conditions that a rating does not make: what is rated badly was not "shown".
TEST_F(FuxiCtr, OnlyALabelTellsNegatives) {
  write("rated.csv", "user,item,label,rating,time\nu,a,1,5,1\nu,b,1,2,1\nu,c,0,5,1\nu,d,0,1,1\n");
  const std::string file = write("rated.toml",
                                 "[interactions]\nfile = \"rated.csv\"\nseparator = \",\"\nuser = \"user\"\n"
                                 "item = \"item\"\ntime = \"time\"\n");
  const Dataset data = load_dataset(file, options_with(&ImportOptions::min_rating, 4.0));
  EXPECT_THAT(negatives_of(data, "u"), ElementsAre(ElementsAre("c", "d")));
  EXPECT_THAT(
      data.notes,
      Contains("note: " + path("rated.csv") +
               ": 2 of 4 rows are negatives, as they are not label > 0 (data.keep=auto "
               "data.min_rating=4); 1 of 4 rows are left out, as they are not rating >= 4 (data.keep=auto "
               "data.min_rating=4)"));
}

TEST_F(FuxiCtr, ItemsThatACoreLeavesOutAreNoNegatives) {
  write("core.csv",
        "user,item,label,time\nu,a,1,1\nu,b,1,2\nv,a,1,1\nv,b,1,2\nw,c,1,1\nu,c,0,1\nu,b,0,1\nw,a,0,1\n");
  const std::string file = write("core.toml",
                                 "[interactions]\nfile = \"core.csv\"\nseparator = \",\"\nuser = \"user\"\n"
                                 "item = \"item\"\ntime = \"time\"\n");
  const Dataset data = load_dataset(file, options_with(&ImportOptions::core, 2));
  EXPECT_THAT(tokens_of(data.users), ElementsAre("u", "v"));
  EXPECT_THAT(tokens_of(data.items), ElementsAre("a", "b"));
  EXPECT_THAT(negatives_of(data, "u"), ElementsAre(ElementsAre("b"), IsEmpty()));
  EXPECT_THAT(data.notes,
              Contains("note: " + path("core.csv") +
                       ": 1 items that were shown beside 1 interactions and not taken are negatives "
                       "(data.negatives=shown); 1 are not: their users took nothing that counts at "
                       "that time, or them, or were shown them twice"));
}

TEST_F(FuxiCtr, AllRowsCountWhereTheCallerSaysSoAndMalformedOnesAreNamed) {
  EXPECT_THAT(history_of(load_dataset(description(), options_with(&ImportOptions::keep, "all")), "u2"),
              ElementsAre("i5", "i9", "i1"));
  write("test.csv", "label,user_id,item_id,cate_id,item_history,cate_history\n1,u1,i6,c3,i1\n");
  EXPECT_THAT(load_error(description()), HasSubstr("test.csv:2: 5 fields where 6 are expected"));
  write("test.csv", "label,user_id,item_id,cate_id,item_history,cate_history\nyes,u1,i6,c3,i1,c1\n");
  EXPECT_THAT(load_error(description()), HasSubstr("test.csv:2: label is 'yes', not a finite number"));
  write("test.csv", "label,user_id,item_id\n1,u1,i6\n");
  EXPECT_THAT(load_error(description()), HasSubstr("test.csv: there is no column 'item_history'"));
}

TEST_F(FuxiCtr, AnItemThatRowsDescribeOtherwiseIsTold) {
  write("test.csv", "label,user_id,item_id,cate_id,item_history,cate_history\n1,u1,i3,c7,,\n");
  EXPECT_THAT(load_dataset(description()).notes,
              Contains("note: " + path("test.csv") +
                       ": 1 lines describe an item again, 1 of them otherwise; the first one counts "
                       "(data.duplicates)"));
  EXPECT_THAT(load_error(description(), options_with(&ImportOptions::duplicates, Duplicates::error)),
              HasSubstr("test.csv:2: item 'i3' is described in line 4 already"));
}

/// Of histories that were cut nobody knows which of several positives an item was shown beside.
TEST_F(FuxiCtr, HistoriesThatWereCutTellNoNegatives) {
  std::string rows = "label,user_id,item_id,cate_id,item_history,cate_history\n";
  for (const char* row : {"1,u,b,c,a,c", "0,u,x,c,a,c", "1,u,d,c,a^b,c^c", "0,u,y,c,a^b,c^c",
                          "1,u,e,c,b^d,c^c", "0,u,z,c,b^d,c^c"})
    rows += std::string(row) + "\n";
  write("train.csv", rows);
  write("test.csv", "label,user_id,item_id,cate_id,item_history,cate_history\n1,v,a,c,,\n");
  const Dataset data = load_dataset(description());
  EXPECT_THAT(history_of(data, "u"), ElementsAre("a", "b", "d", "e"));
  EXPECT_THAT(negatives_of(data, "u"), ElementsAre(IsEmpty(), ElementsAre("x"), IsEmpty(), IsEmpty()));
}

/// Rows without times and histories are in their order, in which nothing stands beside another.
TEST_F(DescribedTest, WithoutTimesAndHistoriesThereAreNoNegatives) {
  write("plain.csv", "user,item,label\nu,a,1\nu,b,0\nu,c,1\n");
  const std::string file = write("plain.toml",
                                 "[interactions]\nfile = \"plain.csv\"\nseparator = \",\"\nuser = \"user\"\n"
                                 "item = \"item\"\n");
  const Dataset data = load_dataset(file);
  EXPECT_THAT(data.negatives, IsEmpty());
  EXPECT_THAT(data.notes, Contains("note: " + path("plain.csv") +
                                   ": 1 of 3 rows are left out, as they are not label > 0 (data.keep=auto)"));
}

/// Users are numbered by what counts, whatever else stands before.
TEST_F(DescribedTest, LinesThatDoNotCountLeaveNoTrace) {
  const std::string header = "user,item,rating,before\n", rows = "v,b,5,\nu,c,5,\n";
  write("with.csv", header + "u,a,1,\n" + rows);
  write("without.csv", header + rows);
  const auto hash = [&](const std::string& name) {
    const std::string file = write(name + ".toml", "[interactions]\nfile = \"" + name +
                                                       ".csv\"\nseparator = \",\"\nuser = \"user\"\n"
                                                       "item = \"item\"\nhistory = \"before\"\n");
    return load_dataset(file, options_with(&ImportOptions::min_rating, 4.0)).hash;
  };
  EXPECT_EQ(hash("with"), hash("without"));
}

TEST_F(DescribedTest, AJsonLabelStandsInAllLinesOrInNone) {
  write("late.json", R"({"u": "a", "i": "x", "t": 1}
{"u": "a", "i": "y", "t": 2, "click": 0}
)");
  const std::string file =
      write("late.toml", "[interactions]\nfile = \"late.json\"\nuser = \"u\"\nitem = \"i\"\ntime = \"t\"\n");
  EXPECT_THAT(load_error(file), HasSubstr("late.json:2: there is a click, which line 1 lacks"));
  EXPECT_EQ(load_dataset(file, options_with(&ImportOptions::keep, "all")).interactions(), 2);
}

TEST_F(DescribedTest, NegativesAloneAreNoInteractions) {
  write("none.csv", "user,item,label,time\nu,a,0,1\n");
  const std::string file = write("none.toml",
                                 "[interactions]\nfile = \"none.csv\"\nseparator = \",\"\nuser = \"user\"\n"
                                 "item = \"item\"\ntime = \"time\"\n");
  EXPECT_THAT(load_error(file), HasSubstr("only items that were not taken (a label of 0)"));
}

/// As FuxiCTR's TaobaoAd and KuaiVideo: labels of other names, and times.
TEST_F(DescribedTest, LabelRatingAndHistoryAreWhatTheDescriptionCallsThem) {
  write("ad.csv",
        "clk,userid,ad,grade,time_stamp,seen\n1,u,a,2,200,x|x|c\n0,u,b,5,300,x|x|c\n2,u,c,5,100,x|x\n");
  const std::string file = write(
      "ad.toml",
      "[interactions]\nfile = \"ad.csv\"\nseparator = \",\"\nuser = \"userid\"\nitem = \"ad\"\ntime = "
      "\"time_stamp\"\nlabel = \"clk\"\nrating = \"grade\"\nhistory = \"seen\"\nhistory_separator = \"|\"\n");
  EXPECT_THAT(history_of(load_dataset(file), "u"), ElementsAre("x", "x", "c", "a"));
  EXPECT_THAT(history_of(load_dataset(file, options_with(&ImportOptions::min_rating, 3.0)), "u"),
              ElementsAre("x", "x", "c"));
}

TEST_F(DescribedTest, RowsOfSeveralFilesAreNamedByTheirOwn) {
  write("a.csv", "u,i,t\nA,x,1\nA,y,2\n");
  write("b.csv", "t,i,u\n1,x,A\n");
  const std::string file = write("ab.toml",
                                 "[interactions]\nfile = [\"a.csv\", \"b.csv\"]\nseparator = \",\"\n"
                                 "user = \"u\"\nitem = \"i\"\ntime = \"t\"\n");
  EXPECT_THAT(load_error(file, options_with(&ImportOptions::duplicates, Duplicates::error)),
              HasSubstr("b.csv:2: user 'A', item 'x' and time are those of " + path("a.csv") + ":2"));
  EXPECT_EQ(load_dataset(file).interactions(), 2);
}

TEST_F(DescribedTest, FaultsOfTheFileAreNamed) {
  EXPECT_EQ(error_of_table("time = \"t\"\n", "u,i,t\nA,x,1\n"), "no error");
  EXPECT_THAT(error_of_table("time = \"t\"\n", "u,i,t\nA,x\n"), HasSubstr("rows.csv:2: "));
  EXPECT_THAT(error_of_table("time = \"t\"\n", "u,i,t\nA,x,soon\n"), HasSubstr("rows.csv:2: "));
  EXPECT_THAT(error_of_table("time = \"t\"\n", "u,i,t\n,x,1\n"), HasSubstr("rows.csv:2: "));
  EXPECT_THAT(error_of_table("time = \"t\"\n", "u,i,t\nA,\"x,1\n"),
              HasSubstr("rows.csv:2: a quotation mark is not closed"));
  EXPECT_THAT(error_of_table("time = \"t\"\ntime_format = \"%Y\"\n", "u,i,t\nA,x,2001-1\n"),
              HasSubstr("rows.csv:2: '2001-1' is no time as '%Y' writes it"));
  EXPECT_THAT(error_of_table("time = \"date\"\n", "u,i,t\nA,x,1\n"),
              HasSubstr("rows.csv: there is no column 'date'; there are u, i, t"));
  write("j.json", "{\"u\": 1, \"i\": 2}\n{\"u\": 1\n");
  EXPECT_THAT(load_error(write("j.toml", "[interactions]\nfile = \"j.json\"\nuser = \"u\"\nitem = \"i\"\n")),
              HasSubstr("j.json:2: not a JSON object"));
}

TEST_F(DescribedTest, FaultsOfTheDescriptionAreNamed) {
  EXPECT_THAT(error_of_table("tim = \"t\"\n", "u,i,t\nA,x,1\n"),
              AllOf(HasSubstr("toy.toml:6: unknown key 'tim'"), HasSubstr("did you mean 'time'?")));
  EXPECT_THAT(error_of_table("time_format = \"%Y\"\n", "u,i,t\nA,x,1\n"),
              HasSubstr("there is a time_format, but no time"));
  EXPECT_THAT(
      load_error(write("none.toml", "[interactions]\nfile = \"none.csv\"\nuser = \"u\"\nitem = \"i\"\n")),
      HasSubstr("none.csv"));
  write("rows.csv", "u,i\nA,x\n");
  EXPECT_THAT(load_error(write("user.toml", "[interactions]\nfile = \"rows.csv\"\nitem = \"i\"\n")),
              HasSubstr("user"));
  EXPECT_THAT(error_of_table("label = \"clk\"\n", "u,i\nA,x\n"), HasSubstr("there is no column 'clk'"));
  EXPECT_THAT(error_of_table("history_separator = \"^\"\n", "u,i\nA,x\n"),
              HasSubstr("there is a history_separator, but no history"));
  EXPECT_THAT(error_of_table("[items]\nitem = \"i\"\nseparator = \",\"\n", "u,i\nA,x\n"),
              HasSubstr("[items] tells a layout, but no file"));
  EXPECT_THAT(load_error(write("nofile.toml", "[interactions]\nuser = \"u\"\nitem = \"i\"\n")),
              HasSubstr("nofile.toml: the key 'file' is missing; add it"));
  write("rows.csv", "u,i\nA,x\n");
  const std::string good = write(
      "good.toml", "[interactions]\nfile = \"rows.csv\"\nseparator = \",\"\nuser = \"u\"\nitem = \"i\"\n");
  EXPECT_THAT(load_error(good, options_with(&ImportOptions::items, "x.item")),
              HasSubstr("told by [items] here"));
}

}  // namespace
}  // namespace sllmr
