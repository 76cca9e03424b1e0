#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

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
  const std::string good = write(
      "good.toml", "[interactions]\nfile = \"rows.csv\"\nseparator = \",\"\nuser = \"u\"\nitem = \"i\"\n");
  EXPECT_THAT(load_error(good, options_with(&ImportOptions::items, "x.item")),
              HasSubstr("told by [items] here"));
}

}  // namespace
}  // namespace sllmr
