#include "host/ask/answer_cache.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <fstream>

#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

CachedAnswer answer(const std::string& text, const std::string& model = "m") {
  return {text, model, "t", 100, 20, 0.5, 1000, "server"};
}

TEST(AnswerCache, GivesBackWhatWasPutAndKeepsTheFirst) {
  const TemporaryFolder folder;
  const std::string key = answer_key({"model", "prompt"});
  {
    AnswerCache cache(folder / "cache");
    EXPECT_FALSE(cache.find(key));
    EXPECT_TRUE(cache.put(key, answer("{\"text\":\"\xC3\xA9\"}")));
    EXPECT_FALSE(cache.put(key, answer("second")));
  }
  AnswerCache cache(folder / "cache");
  const auto found = cache.find(key);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->text, "{\"text\":\"\xC3\xA9\"}");
  EXPECT_EQ(found->tokens_in, 100);
  EXPECT_EQ(found->seconds, 0.5);
  EXPECT_EQ(found->created, 1000);
}

TEST(AnswerCache, AnotherOpenConnectionSeesAnAnswerAtOnce) {
  const TemporaryFolder folder;
  AnswerCache writer(folder / "cache"), reader(folder / "cache");
  writer.put("k", answer("x"));
  EXPECT_TRUE(reader.contains("k"));
}

TEST(AnswerCache, KeysTellPartsApart) {
  EXPECT_NE(answer_key({"ab", "c"}), answer_key({"a", "bc"}));
  EXPECT_NE(answer_key({"a", "b"}), answer_key({"a", "b", ""}));
  EXPECT_EQ(answer_key({"a"}), "a68c894e6e8b5822836dbc791ef90399");  // as in the caches that users have
  EXPECT_EQ(answer_key({"a", "b"}), answer_key({"a", "b"}));
}

TEST(AnswerCache, ExportAndImportCarryAllAnswers) {
  const TemporaryFolder folder;
  AnswerCache cache(folder / "cache"), other(folder / "other");
  const std::string first = answer_key({"1"}), second = answer_key({"2"});
  cache.put(first, answer("one"));
  cache.put(second, answer("two \"quoted\"\n", "n"));
  EXPECT_EQ(cache.export_to(folder / "answers.jsonl"), 2);
  other.put(first, answer("one"));
  EXPECT_EQ(other.import_from(folder / "answers.jsonl"), 1);
  EXPECT_EQ(other.find(second)->text, "two \"quoted\"\n");
  const auto sums = other.sums();
  EXPECT_EQ(sums.at({"n", "t"}).answers, 1);
  EXPECT_EQ(sums.at({"m", "t"}).tokens_in, 100);
}

TEST(AnswerCache, NumbersThatNoAnswerHasAreNeitherImportedNorRead) {
  const TemporaryFolder folder;
  AnswerCache cache(folder / "cache");
  const std::string key = answer_key({"1"});
  const auto import = [&](const char* in, const char* out, const char* seconds, const char* created) {
    std::ofstream(folder / "answers.jsonl")
        << R"({"answer":"x","created":)" << created << R"(,"key":")" << key << R"(","model":"m","seconds":)"
        << seconds << R"(,"server":"s","template":"t","tokens_in":)" << in << R"(,"tokens_out":)" << out
        << "}\n";
    return error_of([&] { cache.import_from(folder / "answers.jsonl"); });
  };
  for (const char* bad : {"-1", "1099511627777", "18446744073709551615", "1e300", "null", "\"5\""}) {
    for (int place = 0; place < 4; ++place) {
      const auto at = [&](int k) { return k == place ? bad : "0"; };
      EXPECT_THAT(import(at(0), at(1), at(2), at(3)),
                  testing::AllOf(HasSubstr("answers.jsonl:1: '"), HasSubstr("from 0 to 2^40")))
          << bad << ' ' << place;
    }
  }
  EXPECT_FALSE(cache.contains(key));
  EXPECT_EQ(import("1099511627776", "0", "0.5", "7"), "no error");
  cache.put("negative", {"y", "m", "t", -5, -6, -7, -8, "s"});
  const auto found = cache.find("negative");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tokens_in, 0);
  EXPECT_EQ(found->tokens_out, 0);
  EXPECT_EQ(found->seconds, 0);
  EXPECT_EQ(found->created, 0);
  const auto sums = cache.sums().at({"m", "t"});
  EXPECT_EQ(sums.answers, 2);
  EXPECT_EQ(sums.tokens_in, 1099511627776);
  EXPECT_EQ(sums.seconds, 0.5);
}

TEST(AnswerCache, AnAnswerIsReplacedWhereItIsSaidSo) {
  const TemporaryFolder folder;
  AnswerCache cache(folder / "cache");
  const std::string key = answer_key({"1"});
  cache.put(key, answer("empty"));
  cache.replace(key, answer("full"));
  EXPECT_EQ(cache.find(key)->text, "full");
  EXPECT_EQ(cache.sums().at({"m", "t"}).answers, 1);
}

TEST(AnswerCache, AnswersOfOlderVersionsBelongToNoServerUntilItIsNamed) {
  const TemporaryFolder folder;
  const std::string id = answer_key({"m", "t", "prompt"}), key = answer_key({"http://here/v1", id});
  sqlite3* old = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "cache").c_str(), &old), SQLITE_OK);
  const std::string sql =
      "CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, model TEXT NOT NULL, template TEXT "
      "NOT "
      "NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, seconds REAL NOT NULL, created INTEGER "
      "NOT "
      "NULL) WITHOUT ROWID; PRAGMA user_version = 1; INSERT INTO answers VALUES ('" +
      id + "', 'old', 'm', 't', 100, 20, 0.5, 1000)";
  ASSERT_EQ(sqlite3_exec(old, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(old);
  AnswerCache cache(folder / "cache");
  EXPECT_EQ(cache.without_server(), 1);
  EXPECT_FALSE(cache.find(key));
  EXPECT_EQ(cache.export_to(folder / "answers.jsonl"), 1);
  EXPECT_THAT(error_of([&] { cache.import_from(folder / "answers.jsonl"); }), HasSubstr("--server"));
  EXPECT_EQ(cache.import_from(folder / "answers.jsonl", "http://here/v1"), 1);
  EXPECT_EQ(cache.find(key)->text, "old");
  EXPECT_EQ(cache.find(key)->server, "http://here/v1");
  // What says its server keeps it.
  CachedAnswer mine = answer("mine");
  mine.server = "here";
  AnswerCache first(folder / "first"), second(folder / "second");
  first.put(key, mine);
  first.export_to(folder / "mine.jsonl");
  EXPECT_EQ(second.import_from(folder / "mine.jsonl", "elsewhere"), 1);
  EXPECT_EQ(second.find(key)->server, "here");
}

TEST(AnswerCache, ATruncatedImportNamesTheLineAndAddsNothing) {
  const TemporaryFolder folder;
  AnswerCache cache(folder / "cache"), other(folder / "other");
  for (const char* part : {"1", "2", "3"}) cache.put(answer_key({part}), answer(part));
  cache.export_to(folder / "answers.jsonl");
  std::string text = read_all(folder / "answers.jsonl");
  text.resize(text.size() - 20);
  std::ofstream(folder / "cut.jsonl") << text;
  EXPECT_THAT(error_of([&] { other.import_from(folder / "cut.jsonl"); }), HasSubstr("cut.jsonl:3"));
  EXPECT_TRUE(other.sums().empty());
}

TEST(AnswerCache, OtherFilesAreRefused) {
  const TemporaryFolder folder;
  std::ofstream(folder / "text") << std::string(10000, 'x');
  EXPECT_THAT(error_of([&] { const AnswerCache cache(folder / "text"); }), HasSubstr("text"));
  EXPECT_THAT(error_of([&] { const AnswerCache cache(folder / "no/cache"); }), HasSubstr("no/cache"));
}

}  // namespace
}  // namespace sllmr
