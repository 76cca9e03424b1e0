#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// Rows are not in time order; the history of a user's later row is longer; cells may be empty and end in a
// blank.
const std::string kBehaviors =
    "1\tU1\t11/15/2019 1:05:00 PM\tN1 N2 N4\tN5-1 N6-0\n"
    "2\tU2\t11/11/2019 12:00:01 AM\t\tN1-0 N7-1 N3-1\n"
    "3\tU1\t11/15/2019 8:55:22 AM\tN1 N2\tN3-0 N4-1 \n"
    "4\tU3\t11/12/2019 9:00:00 AM\tN9\tN1-0\n"
    "5\tU4\t11/12/2019 9:00:00 AM\t\tN1-0\n";
const std::string kNews =
    "N1\tsports\tfootball_nfl\tWho \"won\"?\tAn abstract.\thttps://x\t[]\t[]\n"
    "N4\thealth\thealth\tSleep\t\thttps://y\t[{\"Label\": \"Sleep\"}]\t\n";

class Mind : public DataFiles {};

TEST_F(Mind, ClicksFollowTheHistoryOfTheEarliestRow) {
  const std::string file = write("MINDsmall_train/behaviors.tsv", kBehaviors);
  const std::string news = write("MINDsmall_train/news.tsv", kNews);
  const Dataset data = load_dataset(path("MINDsmall_train"));
  EXPECT_EQ(data.name, "MINDsmall_train");
  EXPECT_THAT(tokens_of(data.users), ElementsAre("U1", "U2", "U3"));
  EXPECT_THAT(history_of(data, "U1"), ElementsAre("N1", "N2", "N4", "N5"));
  EXPECT_THAT(history_of(data, "U2"), ElementsAre("N7", "N3"));
  EXPECT_THAT(history_of(data, "U3"), ElementsAre("N9"));
  EXPECT_EQ(title_of(data, "N1"), "Who \"won\"?");
  EXPECT_THAT(attributes_of(data, "N1"), ElementsAre("sports", "football_nfl"));
  EXPECT_THAT(attributes_of(data, "N4"), ElementsAre("health"));
  EXPECT_THAT(
      data.notes,
      AllOf(Contains("note: " + file +
                     ": 3 items that were shown beside 4 interactions and not taken are negatives "
                     "(data.negatives=shown); 2 are not: their users took nothing that counts at that "
                     "time, or them, or were shown them twice"),
            Contains("note: " + news + ": not used: abstract, url, entities")));
  // One that was shown beside two clicks is a negative of both.
  EXPECT_THAT(negatives_of(data, "U2"), ElementsAre(ElementsAre("N1"), ElementsAre("N1")));

  const Dataset drawn = load_dataset(file, options_with(&ImportOptions::negatives, Negatives::drawn));
  EXPECT_THAT(drawn.negatives, testing::IsEmpty());
  EXPECT_THAT(drawn.notes, Contains("note: " + file + ": 5 impressions were not clicked and are not used"));
}

TEST_F(Mind, WhatWasClickedIsNoNegativeAndNothingIsOneTwice) {
  const std::string line = "1\tU1\t11/15/2019 1:05:00 PM\t\tN1-1 N2-1 N1-0 N3-0 N3-0\n";
  const Dataset data = load_dataset(write("behaviors.tsv", line));
  EXPECT_THAT(negatives_of(data, "U1"), ElementsAre(ElementsAre("N3"), ElementsAre("N3")));
  // Both share them.
  EXPECT_EQ(data.negatives.size(), 1U);

  // A user's first impression without a click leaves no trace where it is left out.
  const ImportOptions drawn = options_with(&ImportOptions::negatives, Negatives::drawn);
  const std::string rest = "2\tU2\t11/15/2019 1:05:00 PM\t\tN1-1\n3\tU1\t11/15/2019 2:05:00 PM\t\tN2-1\n";
  const std::uint64_t hash = load_dataset(write("behaviors.tsv", rest), drawn).hash;
  EXPECT_EQ(load_dataset(write("behaviors.tsv", "1\tU1\t11/15/2019 1:00:00 PM\t\tN1-0\n" + rest), drawn).hash,
            hash);
}

TEST_F(Mind, DaysAndCoresChooseAmongClicks) {
  const std::string file = write("behaviors.tsv", kBehaviors);
  EXPECT_THAT(history_of(load_dataset(file, options_with(&ImportOptions::from, "2019-11-15")), "U1"),
              ElementsAre("N1", "N2", "N4", "N5"));
  EXPECT_EQ(load_dataset(file, options_with(&ImportOptions::to, "2019-11-11")).interactions(), 2);
  EXPECT_THAT(load_error(file, options_with(&ImportOptions::min_rating, 1.0)),
              HasSubstr("there are none to choose by"));
}

TEST_F(Mind, MalformedLinesAreNamed) {
  const auto error = [&](const std::string& line) {
    return load_error(write("behaviors.tsv", "1\tU1\t11/15/2019 1:05:00 PM\tN1\tN5-1\n" + line + "\n"));
  };
  EXPECT_THAT(error("2\tU1\t11/15/2019 1:05:00 PM\tN1"), HasSubstr("behaviors.tsv:2: 4 fields where 5"));
  EXPECT_THAT(error("2\tU1\t2019-11-15\tN1\tN5-1"),
              HasSubstr("behaviors.tsv:2: '2019-11-15' is no time as '%m/%d/%Y %I:%M:%S %p' writes it"));
  EXPECT_THAT(error("2\t\t11/15/2019 1:05:00 PM\tN1\tN5-1"),
              HasSubstr("behaviors.tsv:2: the user id is empty"));
  EXPECT_THAT(error("2\tU1\t11/15/2019 1:05:00 PM\tN1\tN5 N6"),
              HasSubstr("behaviors.tsv:2: impression 'N5' ends neither in -1, clicked, nor in -0"));
  EXPECT_THAT(error("2\tU1\t11/15/2019 1:05:00 PM\tN1\t-1"),
              HasSubstr("behaviors.tsv:2: the item id is empty"));
  write("behaviors.tsv", kBehaviors);
  write("news.tsv", kNews + "N9\tnews\n");
  EXPECT_THAT(load_error(path("behaviors.tsv")), HasSubstr("news.tsv:3: 2 fields where 8 are expected"));
}

}  // namespace
}  // namespace sllmr
