// The flags of `sllmr data` and the keys that they stand for.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/experiments/cli.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

class DataCli : public CliTest {
 protected:
  /// MovieLens ratings of January 2020.
  std::string ratings() const {
    const std::string file = folder_ / "ratings.csv";
    std::ofstream(file) << "userId,movieId,rating,timestamp\n"
                           "u,a,5,1577836800\nu,b,1,1577836801\nu,c,5,1577836802\nv,a,5,1577836800\n"
                           "v,c,5,1577923200\nw,a,4,1577836800\nw,c,4,1580515200\n";
    return file;
  }
};

TEST_F(DataCli, FlagsChooseRowsAndWhatTheyLeaveOutIsTold) {
  const Outcome outcome = run({"data", "import", ratings(), "--out", folder_ / "out", "--min-rating", "4",
                               "--from", "2020-01-01", "--to", "2020-01-31", "--core", "2"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("2 users, 2 items, 4 interactions"));
  EXPECT_THAT(
      outcome.err,
      testing::AllOf(HasSubstr("1 of 7 rows are left out, as they are not rating >= 4"),
                     HasSubstr("data.from=2020-01-01 data.to=2020-01-31 leaves out 0 users, 0 items and "
                               "1 interactions"),
                     HasSubstr("data.core=2 leaves out 1 users, 0 items and 1 interactions")));
}

TEST_F(DataCli, FlagsThatSayNothingAreRefused) {
  const auto error = [&](const std::string& flag, const std::string& value) {
    const Outcome outcome = run({"data", "stats", ratings(), flag, value});
    EXPECT_NE(outcome.status, 0);
    return outcome.err;
  };
  EXPECT_THAT(error("--from", "1.1.2020"), HasSubstr("'1.1.2020' is no date such as 2018-01-31"));
  EXPECT_THAT(error("--core", "-1"), HasSubstr("--core"));
  EXPECT_THAT(error("--min-rating", "nan"), HasSubstr("--min-rating"));
}

/// The rows decide the figures, so what was trained on others does not go on.
TEST_F(DataCli, ARunOfOtherRowsIsNotResumed) {
  const std::vector<std::string> words = {"train",      "data.path=" + data(),          "method=none",
                                          "device=cpu", "run_dir=" + (folder_ / "run"), "train.epochs=1"};
  ASSERT_EQ(run(words).status, 0);
  std::vector<std::string> again = words;
  again.insert(again.end(), {"--resume", "data.core=3"});
  const Outcome outcome = run(again);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("data.core was 0, is 3"));
}

}  // namespace
}  // namespace sllmr
