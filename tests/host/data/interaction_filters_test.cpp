// data.min_rating, data.from, data.to and data.core, of every importer.
#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class InteractionFilters : public DataFiles {
 protected:
  /// `rows`: user, item, rating, time in the seconds of January 2020 and later.
  std::string movies(const std::string& rows) const {
    return write("ml/ratings.csv", "userId,movieId,rating,timestamp\n" + rows);
  }
};

ImportOptions dates(const std::string& from, const std::string& to) {
  ImportOptions options;
  options.from = from;
  options.to = to;
  return options;
}

ImportOptions core(int least) {
  return options_with(&ImportOptions::core, least);
}

TEST_F(InteractionFilters, TheCoreIsTakenUntilNobodyHasFewer) {
  // Without item d, which one took, u3 has one left; without u3 item c has one; u1, u2, a and b stay.
  const std::string file = movies("u3,c,5,1\nu3,d,5,2\nu1,a,5,1\nu1,b,5,2\nu1,c,5,3\nu2,b,5,1\nu2,a,5,2\n");
  const Dataset data = load_dataset(file, core(2));
  EXPECT_THAT(tokens_of(data.users), ElementsAre("u1", "u2"));
  EXPECT_THAT(tokens_of(data.items), ElementsAre("a", "b"));
  EXPECT_THAT(history_of(data, "u2"), ElementsAre("b", "a"));
  EXPECT_THAT(data.notes, Contains("note: " + file +
                                   ": data.core=2 leaves out 1 users, 2 items and 3 interactions; 2 users, 2 "
                                   "items and 4 interactions stay"));
  EXPECT_EQ(data.hash, load_dataset(movies("u1,a,5,1\nu1,b,5,2\nu2,b,5,1\nu2,a,5,2\n")).hash);
}

TEST_F(InteractionFilters, ACoreThatAllAreInTellsAndChangesNothing) {
  const std::string file = movies("u1,a,5,1\nu1,b,5,2\nu2,b,5,1\nu2,a,5,2\n");
  const Dataset data = load_dataset(file, core(2));
  EXPECT_EQ(data.hash, load_dataset(file).hash);
  EXPECT_THAT(data.notes, Not(Contains(HasSubstr("core"))));
}

TEST_F(InteractionFilters, AnItemTakenTwiceCountsTwiceUnlessItRepeatsALine) {
  EXPECT_EQ(load_dataset(movies("u,a,5,1\nu,a,5,2\n"), core(2)).interactions(), 2);
  EXPECT_THAT(load_error(movies("u,a,5,1\nu,a,5,1\n"), core(2)),
              HasSubstr("data.core=2 leaves out all 1 users, 1 items and 1 interactions; ask for less"));
}

TEST_F(InteractionFilters, UsersAreNumberedByTheirFirstLineThatIsLeft) {
  const std::string file = movies("u1,a,5,100\nu2,b,5,200\nu1,b,5,300\n");
  const Dataset data = load_dataset(file, dates("200", ""));
  EXPECT_THAT(tokens_of(data.users), ElementsAre("u2", "u1"));
  EXPECT_EQ(data.hash, load_dataset(movies("u2,b,5,200\nu1,b,5,300\n")).hash);
}

TEST_F(InteractionFilters, NumbersAreTimesAsTheFileHasThemAndBothEndsBelong) {
  const std::string file = movies("u,a,5,1\nu,b,5,2\nu,c,5,3.5\nu,d,5,4\n");
  EXPECT_THAT(history_of(load_dataset(file, dates("2", "3.5")), "u"), ElementsAre("b", "c"));
  EXPECT_THAT(load_dataset(file, dates("2", "3.5")).notes,
              Contains("note: " + file +
                       ": data.from=2 data.to=3.5 leaves out 0 users, 2 items and 2 interactions; 1 users, 2 "
                       "items and 2 interactions stay"));
  EXPECT_THAT(history_of(load_dataset(file, dates("", "1e0")), "u"), ElementsAre("a"));
  EXPECT_THAT(load_error(file, dates("5", "")),
              HasSubstr("data.from=5 leaves out all 1 users, 4 items and 4 interactions; ask for less"));
  EXPECT_THAT(load_error(file, dates("3", "2")), HasSubstr("data.from=3 is later than data.to=2"));
  EXPECT_THAT(load_error(file, dates("soon", "")),
              HasSubstr("data.from is 'soon'; write a date such as 2018-01-31"));
}

TEST_F(InteractionFilters, DaysAreWholeInUtcAndOfAnyUnit) {
  // The last second of 2019, the first and last of 2020-01-01, the first of the day after.
  for (const std::string unit : {"", "000", "000000", "000000000"}) {
    const std::string file = movies("u,a,5,1577836799" + unit + "\nu,b,5,1577836800" + unit +
                                    "\nu,c,5,1577923199" + unit + "\nu,d,5,1577923200" + unit + "\n");
    EXPECT_THAT(history_of(load_dataset(file, dates("2020-01-01", "2020-01-01")), "u"), ElementsAre("b", "c"))
        << unit;
    EXPECT_THAT(history_of(load_dataset(file, dates("", "2019-12-31")), "u"), ElementsAre("a"));
    EXPECT_THAT(history_of(load_dataset(file, dates("0001-01-01", "9999-12-31")), "u"),
                ElementsAre("a", "b", "c", "d"));
  }
}

TEST_F(InteractionFilters, WhatIsNoDateIsNotTakenForOne) {
  const std::string file = movies("u,a,5,1577836799\n");
  for (const char* text :
       {"2020-1-1", "2020-02-30", "2020-13-01", "20-01-01", "2020/01/01", "2020-01-01T00", "inf"}) {
    EXPECT_THAT(load_error(file, dates("", text)), HasSubstr("data.to is '" + std::string(text) + "'"));
  }
  EXPECT_THAT(
      load_error(movies("u,a,5,17\n"), dates("2020-01-01", "")),
      HasSubstr("its times are no seconds, milli-, micro- or nanoseconds since 1970; give data.from"));
}

TEST_F(InteractionFilters, RowsThatHaveAnOrderAloneCannotBeChosenByTime) {
  for (const std::string& file :
       {write("s.txt", "1 2 3\n"),
        write("p.inter", "user_id:token\titem_id:token\tposition:float\nu\ti\t1\n")}) {
    EXPECT_EQ(load_error(file, dates("1", "")),
              file + ": its rows have no times to choose by; leave data.from and data.to out");
  }
  write("d.csv", "u,i\n1,2\n");
  const std::string file =
      write("d.toml", "[interactions]\nfile='d.csv'\nseparator=','\nuser='u'\nitem='i'\n");
  EXPECT_THAT(load_error(file, dates("", "1")), HasSubstr("d.toml: its rows have no times"));
  EXPECT_THAT(load_dataset(file, core(1)).notes, IsEmpty());
}

TEST_F(InteractionFilters, ASplitThatCameWithTheFilesIsNotCut) {
  for (const char* part : {"train", "valid", "test"}) {
    write(std::string("g.") + part + ".inter",
          std::string("user_id:token\titem_id:token\ttimestamp:float\nu\t") + part + "\t1\n");
  }
  for (const ImportOptions& options : {core(2), dates("1", ""), dates("", "1")}) {
    EXPECT_THAT(load_error(path("g"), options),
                testing::AllOf(HasSubstr("g.train.inter"), HasSubstr("set data.split=leave_one_out")));
  }
  ImportOptions joined = core(1);
  joined.split = SplitSource::leave_one_out;
  EXPECT_EQ(load_dataset(path("g"), joined).interactions(), 3);
}

TEST_F(InteractionFilters, RatingsComeFirstThenDuplicatesThenDatesThenTheCore) {
  // Of u, a at 2 the first row is rated low; b is too early, and without it u has too few.
  const std::string file = movies("u,a,1,2\nu,a,5,2\nu,b,5,1\nv,a,5,2\nv,c,5,3\nw,c,5,3\nw,a,5,4\n");
  ImportOptions options = dates("2", "");
  options.min_rating = 3;
  EXPECT_EQ(load_dataset(file, options).interactions(), 5);
  options.core = 2;
  const Dataset data = load_dataset(file, options);
  EXPECT_THAT(tokens_of(data.users), ElementsAre("v", "w"));
  EXPECT_THAT(data.notes,
              ElementsAre(HasSubstr("data.from=2 leaves out 0 users, 1 items and 1 interactions"),
                          HasSubstr("data.core=2 leaves out 1 users, 0 items and 1 interactions"),
                          HasSubstr("1 of 7 rows are left out, as they are not rating >= 3 (data.keep=auto "
                                    "data.min_rating=3)")));
}

TEST_F(InteractionFilters, TheLeastRatingIsOfWhicheverColumnIsOne) {
  const ImportOptions four = options_with(&ImportOptions::min_rating, 4.0);
  const std::string of_2018 = R"(, "asin": "A", "unixReviewTime": 1, "overall": )";
  const std::string reviews = write("reviews_X.json", R"({"reviewerID": "u")" + of_2018 + "5.0}\n" +
                                                          R"({"reviewerID": "v")" + of_2018 + "3.0}\n");
  EXPECT_THAT(tokens_of(load_dataset(reviews, four).users), ElementsAre("u"));
  const std::string header = "user_id:token\titem_id:token\ttimestamp:float\t";
  EXPECT_THAT(load_error(write("n.inter", header + "age:float\nu\ti\t1\t5\n"), four),
              HasSubstr("n.inter: data.min_rating=4, but there is no column rating, overall, stars, score; "
                        "data.keep chooses by any other, here age"));
  EXPECT_THAT(load_error(write("s.txt", "1 2 3\n"), four), HasSubstr("there are none to choose by"));
  // Labels go on to count.
  const std::string both = write("b.inter", header +
                                                "label:float\trating:float\nu\ta\t1\t1\t5\n"
                                                "u\tb\t1\t0\t5\nu\tc\t1\t1\t3\n");
  EXPECT_THAT(history_of(load_dataset(both, four), "u"), ElementsAre("a"));
}

TEST_F(InteractionFilters, RatingsAreChosenByOneKeyOnly) {
  const std::string file = movies("u,a,5,1\n");
  for (const char* keep : {"all", "rating >= 4"}) {
    ImportOptions options = options_with(&ImportOptions::min_rating, 4.5);
    options.keep = keep;
    EXPECT_EQ(load_error(file, options), "data.min_rating=4.5 and data.keep=" + std::string(keep) +
                                             " both choose rows; write all conditions into data.keep, as in "
                                             "'rating >= 4.5'");
  }
}

}  // namespace
}  // namespace sllmr
