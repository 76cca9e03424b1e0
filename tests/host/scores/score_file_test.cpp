#include <gmock/gmock.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <thread>

#include "host/scores/score_table.h"
#include "kernels/exec/random.h"
#include "tests/host/ask/toy_data.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

using test::make_dataset;
using test::TemporaryFile;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kHeader = "user_id:token\titem_id:token\tscore:float\tprobe:float\n";

// Training items of u1: 1 2 3 (validation 4, test 5).
class ScoreFileTest : public testing::Test {
 protected:
  Dataset data_ = make_dataset({{1, 2, 3, 4, 5}, {1, 1, 2, 6, 3, 4}}, 9);
  Split split_ = leave_one_out(data_);

  ScoreTable read(const std::string& text) const { return read_scores(TemporaryFile(text).path(), data_); }
  /// The message without the path: ":2: what; remedy".
  std::string read_error(const std::string& text) const {
    const TemporaryFile file(text);
    const std::string message = error_of([&] { read_scores(file.path(), split_); });
    return message.starts_with(file.path()) ? message.substr(file.path().size()) : "without path: " + message;
  }
};

TEST_F(ScoreFileTest, ReadsColumnsInAnyOrderWithOrWithoutTypes) {
  const ScoreTable table = read("probe\tscore:float\titem_id\tuser_id\n1\t0.25\ti3\tu1\n0\t1\ti9\tu1\n");
  EXPECT_THAT(table.items_of(1), ElementsAre(9, 3));
  EXPECT_THAT(table.scores_of(1), ElementsAre(1.0F, 0.25F));
  EXPECT_THAT(table.probe, ElementsAre(-1, 1, -1));
  EXPECT_THAT(table.scorer, AllOf(StartsWith("file:"), EndsWith(".scores")));
}

TEST_F(ScoreFileTest, ReadsJsonLinesWithOptionalProbe) {
  const ScoreTable table = read(R"({"user_id":"u1","item_id":"i3","score":0.25,"probe":true})"
                                "\n"
                                R"({"item_id":"i9","score":1,"user_id":"u1"})");
  EXPECT_THAT(table.items_of(1), ElementsAre(9, 3));
  EXPECT_THAT(table.probe, ElementsAre(-1, 1, -1));
}

TEST_F(ScoreFileTest, TakesIntegersAsRawIdsInJson) {
  Dataset data = make_dataset({{}}, 0);
  const Id user = data.users.add("11023"), item = data.items.add("42");
  data.history_offsets.push_back(0);
  const TemporaryFile file(R"({"user_id":11023,"item_id":42,"score":0.5})");
  EXPECT_THAT(read_scores(file.path(), data).items_of(user), ElementsAre(item));
}

TEST_F(ScoreFileTest, MarksProbesFromTheSplitWhereTheFileNamesNone) {
  const TemporaryFile file("user_id\titem_id\tscore\nu1\ti3\t0.25\nu1\ti9\t0.5\n");
  EXPECT_THAT(read_scores(file.path(), split_).probe, ElementsAre(-1, 1, -1));
  EXPECT_THAT(read_scores(file.path(), data_).probe, ElementsAre(-1, -1, -1));
}

TEST_F(ScoreFileTest, RoundTripIsExactInBothFormats) {
  Dataset data = make_dataset({{1, 2, 3}}, 2000);
  data.users.add("with \"quotes\" \\ and \xC3\xA9");
  data.history_offsets.push_back(3);
  std::vector<LlmScore> scores;
  for (Id item = 1; item <= 2000; ++item) {
    // Any bit pattern of a float in [0, 1), denormals among them.
    const std::uint32_t word = philox(1, 0, static_cast<std::uint64_t>(item), Purpose::noise).word[0];
    scores.push_back({1 + item % 2, item, std::bit_cast<float>(below(word, 0x3F800000U)), item == 2});
  }
  const ScoreTable table = make_score_table(data, scores, "test");
  for (const bool json_lines : {false, true}) {
    const TemporaryFile file;
    write_scores(file.path(), table, data, json_lines);
    const ScoreTable back = read_scores(file.path(), data);
    EXPECT_EQ(back.offsets, table.offsets);
    EXPECT_EQ(back.items, table.items);
    EXPECT_EQ(back.scores, table.scores);
    EXPECT_EQ(back.probe, table.probe);
  }
}

TEST_F(ScoreFileTest, KeepsVariancesInBothFormatsAndWritesNoColumnWithoutThem) {
  const ScoreTable table = make_score_table(
      data_, std::vector<LlmScore>{{1, 3, 0.25F, true, 0.1F}, {1, 8, 1.0F}, {2, 9, 0.1F, false, 1.0F}},
      "test");
  EXPECT_THAT(table.variances, ElementsAre(0.0F, 0.1F, 1.0F));
  EXPECT_EQ(table.variance_of(1, 1), 0.1F);
  const TemporaryFile file;
  for (const bool json_lines : {true, false}) {
    write_scores(file.path(), table, data_, json_lines);
    EXPECT_EQ(read_scores(file.path(), data_).variances, table.variances);
  }
  EXPECT_EQ(file.text(),
            "user_id:token\titem_id:token\tscore:float\tprobe:float\tvariance:float\n"
            "u1\ti8\t1\t0\t0\nu1\ti3\t0.25\t1\t0.1\nu2\ti9\t0.1\t0\t1\n");
  for (const std::string text :
       {"user_id\titem_id\tscore\nu1\ti8\t0.5\n", "user_id\tvariance\titem_id\tscore\nu1\t0\ti8\t0.5\n"}) {
    const ScoreTable without = read(text);
    EXPECT_THAT(without.variances, testing::IsEmpty());
    EXPECT_EQ(without.variance_of(1, 0), 0.0F);
  }
  // Rows that differ in it alone do not repeat each other.
  EXPECT_THAT(read_error("user_id\titem_id\tscore\tvariance\nu1\ti8\t0.5\t0\nu1\ti8\t0.5\t0.5\n"),
              HasSubstr("second score for item i8"));
}

TEST_F(ScoreFileTest, WritesTheCanonicalFileByUserAndFallingScore) {
  const ScoreTable table =
      make_score_table(data_, std::vector<LlmScore>{{2, 9, 0.1F}, {1, 3, 0.25F, true}, {1, 8, 1.0F}}, "test");
  const TemporaryFile file;
  write_scores(file.path(), table, data_, false);
  EXPECT_EQ(file.text(), kHeader + "u1\ti8\t1\t0\nu1\ti3\t0.25\t1\nu2\ti9\t0.1\t0\n");
  write_scores(file.path(), table, data_, true);
  EXPECT_THAT(file.text(),
              StartsWith("{\"user_id\":\"u1\",\"item_id\":\"i8\",\"score\":1,\"probe\":false}\n"));
}

TEST_F(ScoreFileTest, RefusesIdsThatTheFormatCannotHoldAndKeepsTheOldFile) {
  const TemporaryFile file("old");
  const auto write = [&](const char* user, bool json_lines) {
    Dataset data = make_dataset({}, 1);
    data.users.add(user);
    data.history_offsets.push_back(0);
    const ScoreTable table = make_score_table(data, std::vector<LlmScore>{{1, 1, 0.5F}}, "test");
    return error_of([&] { write_scores(file.path(), table, data, json_lines); });
  };
  EXPECT_THAT(write("a\tb", false), HasSubstr("write JSON lines"));
  EXPECT_THAT(write("a\xFF", true), HasSubstr("write TSV"));
  EXPECT_EQ(file.text(), "old");
}

TEST_F(ScoreFileTest, APipeIsReadOnce) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto read_through_pipe = [&](const std::string& text) {
    std::thread writer([&] { std::ofstream(pipe) << text; });
    const std::string error = error_of([&] { EXPECT_EQ(read_scores(pipe, split_).size(), 2); });
    writer.join();
    return error;
  };
  const std::string text = kHeader + "u1\ti3\t0.25\t1\nu1\ti9\t1\t0";
  EXPECT_EQ(read_through_pipe(text + "\n"), "no error");
  EXPECT_THAT(read_through_pipe(text), HasSubstr("may be truncated"));
}

TEST_F(ScoreFileTest, FoldersAndSocketsAreNoTables) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { read_scores(folder.path(), split_); }), HasSubstr("Is a directory"));
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder / "socket";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(error_of([&] { read_scores(path, split_); }), HasSubstr("cannot be opened"));
  ::close(socket);
}

TEST_F(ScoreFileTest, DeepNestingIsAnErrorOfItsLine) {
  const std::string line = R"({"user_id":"u1","item_id":"i3","score":0.25})";
  const std::string deep = R"({"user_id":)" + std::string(100'000, '[');
  EXPECT_THAT(read_error(line + "\n" + deep), StartsWith(":2: not a JSON object, nested too deep"));
  EXPECT_THAT(read_error(line + "\n" + deep + std::string(100'000, ']') + "}"),
              StartsWith(":2: not a JSON object"));
}

TEST_F(ScoreFileTest, RowsOfOthersAreCountedAndLeftOut) {
  const TemporaryFile file("user_id\titem_id\tscore\tprobe\nu7\ti8\t0.9\t0\nu1\ti8\t0.5\t0\nu1\ti77\t1\t0\n" +
                           std::string("u1\ti9\t0.25\t0\nu1\ti3\t0.25\t1\n"));
  testing::internal::CaptureStderr();
  const ScoreTable table = read_scores(file.path(), split_);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr(":2: unknown user 'u7'; 2 of 5 rows name users or items that are not in toy"),
                    HasSubstr("left out")));
  EXPECT_EQ(table.unknown_rows, 2);
  EXPECT_THAT(table.items_of(1), ElementsAre(8, 3, 9));
  EXPECT_THAT(error_of([&] { read_scores(file.path(), split_, 0.61); }),
              AllOf(StartsWith(file.path() + ":2: unknown user 'u7'; 2 of 5"), HasSubstr("llm.min_known")));
  EXPECT_EQ(read_scores(file.path(), split_, 0.6).unknown_rows, 2);
}

TEST_F(ScoreFileTest, AFaultAfterRowsOfOthersNamesItsLine) {
  EXPECT_THAT(read_error(kHeader + "u7\ti8\t0.5\t0\nu1\ti8\t0.5\t0\nu1\ti8\t0.6\t0\n"),
              AllOf(StartsWith(":4: "), HasSubstr("second score for item i8")));
}

TEST_F(ScoreFileTest, EqualRowsCountOnce) {
  testing::internal::CaptureStderr();
  const ScoreTable table =
      read(kHeader + "u1\ti8\t0.5\t0\nu1\ti3\t0.25\t1\nu1\ti8\t0.5\t0\nu1\ti8\t0.5\t0\n");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("2 rows repeat another one"));
  EXPECT_THAT(table.items_of(1), ElementsAre(8, 3));
  EXPECT_THAT(table.probe, ElementsAre(-1, 1, -1));
  // The line of what contradicts is its own.
  EXPECT_THAT(read_error(kHeader + "u1\ti8\t0.5\t0\nu1\ti8\t0.5\t0\nu1\ti8\t0.6\t0\n"), StartsWith(":4: "));
}

TEST_F(ScoreFileTest, ATableOfOthersAloneIsRefusedWhateverTheShare) {
  const TemporaryFile file(kHeader + "u7\ti8\t0.5\t0\n");
  EXPECT_THAT(error_of([&] { read_scores(file.path(), data_, 0); }), HasSubstr("1 of 1 rows"));
}

TEST_F(ScoreFileTest, NamesAMissingFile) {
  EXPECT_THAT(error_of([&] { read_scores("/nowhere/toys.scores", data_); }),
              AllOf(StartsWith("/nowhere/toys.scores"), HasSubstr("No such file")));
}

struct BadFile {
  const char* name;
  std::string text;
  const char* where;
  const char* what;
};
class BadScoreFileTest : public ScoreFileTest, public testing::WithParamInterface<BadFile> {};

TEST_P(BadScoreFileTest, IsRefusedWithLineAndReason) {
  EXPECT_THAT(read_error(GetParam().text), AllOf(StartsWith(GetParam().where), HasSubstr(GetParam().what)));
}

INSTANTIATE_TEST_SUITE_P(
    Tsv, BadScoreFileTest,
    testing::Values(
        BadFile{"Empty", "", ":1: ", "empty"},
        BadFile{"HeaderOnly", kHeader, ":1: ", "no scores after the header"},
        BadFile{"NoHeader", "u1\ti3\t0.5\t0\n", ":1: ", "unknown column 'u1'"},
        BadFile{"MissingColumn", "user_id\titem_id\nu1\ti3\n", ":1: ", "no column 'score'"},
        BadFile{"ColumnTwice", "user_id\titem_id\tscore\tscore\n", ":1: ", "'score' appears twice"},
        BadFile{"UnknownColumn", "user_id\titem_id\tscore\tprobes\n", ":1: ", "unknown column 'probes'"},
        BadFile{"FieldTooFew", kHeader + "u1\ti8\t0.5\nu1\ti9\t0.5\t0\n", ":2: ", "3 fields where 4"},
        BadFile{"FieldTooMany", kHeader + "u1\ti8\t0.5\t0\t0\n", ":2: ", "5 fields where 4"},
        BadFile{"LastLineTruncated", kHeader + "u1\ti8\t0.5\t0\nu1\ti9", ":3: ", "truncated"},
        BadFile{"LastScoreTruncated", "user_id\titem_id\tscore\nu1\ti8\t0.5\nu1\ti9\t0.2",
                ":3: ", "truncated"},
        BadFile{"EmptyLine", kHeader + "u1\ti8\t0.5\t0\n\nu1\ti9\t0.5\t0\n", ":3: ", "empty"},
        BadFile{"UnknownUser", kHeader + "u7\ti8\t0.5\t0\n", ":2: ", "unknown user 'u7'"},
        BadFile{"UnknownItem", kHeader + "u1\ti77\t0.5\t0\n", ":2: ", "unknown item 'i77'"},
        BadFile{"EmptyUser", kHeader + "\ti8\t0.5\t0\n", ":2: ", "unknown user ''"},
        BadFile{"ScoreNan", kHeader + "u1\ti8\tnan\t0\n", ":2: ", "finite"},
        BadFile{"ScoreInfinite", kHeader + "u1\ti8\tinf\t0\n", ":2: ", "finite"},
        BadFile{"ScoreAboveOne", kHeader + "u1\ti8\t1.5\t0\n", ":2: ", "not in [0, 1]"},
        BadFile{"ScoreNegative", kHeader + "u1\ti8\t-0.5\t0\n", ":2: ", "not in [0, 1]"},
        BadFile{"ScoreText", kHeader + "u1\ti8\thigh\t0\n", ":2: ", "'high'"},
        BadFile{"ScoreWithRest", kHeader + "u1\ti8\t0.5x\t0\n", ":2: ", "'0.5x'"},
        BadFile{"VarianceAboveOne", "user_id\titem_id\tscore\tvariance\nu1\ti8\t0.5\t1.5\n",
                ":2: ", "variance 1.5 is not in [0, 1]"},
        BadFile{"VarianceNegative", "user_id\titem_id\tscore\tvariance\nu1\ti8\t0.5\t-0.1\n",
                ":2: ", "is not in [0, 1]"},
        BadFile{"VarianceNan", "user_id\titem_id\tscore\tvariance\nu1\ti8\t0.5\tnan\n", ":2: ", "finite"},
        BadFile{"ProbeText", kHeader + "u1\ti3\t0.5\tyes\n", ":2: ", "probe 'yes' is neither 0 nor 1"},
        BadFile{"PairTwice", kHeader + "u1\ti8\t0.5\t0\nu1\ti9\t0.5\t0\nu1\ti8\t0.6\t0\n",
                ":4: ", "second score for item i8"},
        BadFile{"TwoProbes", kHeader + "u1\ti3\t0.5\t1\nu1\ti2\t0.6\t1\n", ":3: ", "second probe"},
        BadFile{"ProbeIsTestItem", kHeader + "u1\ti8\t0.5\t0\nu1\ti5\t0.6\t1\n", ":3: ", "held out"},
        BadFile{"ProbeIsValidationItem", kHeader + "u1\ti4\t0.6\t1\n", ":2: ", "held out"},
        BadFile{"ProbeIsNoTrainingItem", kHeader + "u1\ti9\t0.6\t1\n",
                ":2: ", "not one of the user's training items"}),
    [](const auto& test) { return test.param.name; });

const std::string kObject = R"({"user_id":"u1","item_id":"i8","score":0.5})"
                            "\n";

INSTANTIATE_TEST_SUITE_P(
    JsonLines, BadScoreFileTest,
    testing::Values(
        BadFile{"NotJson", kObject + "{user_id: u1}\n", ":2: ", "not a JSON object"},
        BadFile{"NotAnObject", kObject + "[1, 2]\n", ":2: ", "not a JSON object"},
        BadFile{"Truncated", kObject + R"({"user_id":"u1","item_id":"i9","sc)", ":2: ", "truncated"},
        BadFile{"MissingKey", "{\"user_id\":\"u1\",\"item_id\":\"i8\"}\n", ":1: ", "no 'score'"},
        BadFile{"UnknownKey", R"({"user_id":"u1","item_id":"i8","score":0.5,"prob":true})", ":1: ", "'prob'"},
        BadFile{"IdOfWrongType", R"({"user_id":null,"item_id":"i8","score":0.5})",
                ":1: ", "user_id is neither"},
        BadFile{"ScoreText", R"({"user_id":"u1","item_id":"i8","score":"0.5"})",
                ":1: ", "score is not a number"},
        BadFile{"ScoreNull", R"({"user_id":"u1","item_id":"i8","score":null})",
                ":1: ", "score is not a number"},
        BadFile{"ScoreAboveOne", R"({"user_id":"u1","item_id":"i8","score":2})", ":1: ", "not in [0, 1]"},
        BadFile{"VarianceText", R"({"user_id":"u1","item_id":"i8","score":0.5,"variance":"0"})",
                ":1: ", "variance is not a number"},
        BadFile{"VarianceAboveOne", R"({"user_id":"u1","item_id":"i8","score":0.5,"variance":2})",
                ":1: ", "not in [0, 1]"},
        BadFile{"ProbeNumber", R"({"user_id":"u1","item_id":"i3","score":0.5,"probe":1})",
                ":1: ", "probe is neither"},
        BadFile{"EmptyLine", kObject + "\n" + kObject, ":2: ", "empty"},
        BadFile{"PairTwice", kObject + R"({"user_id":"u1","item_id":"i8","score":0.75})",
                ":2: ", "second score for item i8"},
        BadFile{"ProbeIsTestItem", R"({"user_id":"u1","item_id":"i5","score":0.5,"probe":true})",
                ":1: ", "held out"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace sllmr
