// `sllmr llm` against a server that misbehaves: nothing lost, nothing paid twice, no key anywhere.
#include <gmock/gmock.h>

#include <fcntl.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "host/ask/prompt.h"
#include "host/ask/scorer.h"
#include "host/base/json_text.h"
#include "host/data/import.h"
#include "host/data/synthetic.h"
#include "host/scores/score_table.h"
#include "tests/experiments/cli.h"
#include "tests/host/support.h"
#include "tests/support/fake_llm_server.h"

namespace sllmr {
namespace {

using nlohmann::json;
using test::FakeLlmServer;
using test::FakeReply;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kKey = "sk-test-0123456789abcdef";
constexpr int kCandidates = 6;
#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

/// Of all threads of this process.
double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

Outcome run_llm(std::vector<std::string> words) {
  words.insert(words.begin(), "llm");
  return sllmr::run(std::move(words));
}

/// Some number in [0, n) that depends on the text alone.
std::size_t pick(const std::string& text, std::size_t n) {
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return (hash >> 20) % n;
}

/// What the model says to a prompt; always the same for the same prompt.
std::string model_answer(const std::string& body) {
  std::string scores;
  for (std::size_t k = 0; k < kCandidates; ++k) {
    scores += std::string(k == 0 ? "" : ", ") + "\\\"" + candidate_label(k) + "\\\": 0." +
              std::to_string(pick(body + candidate_label(k), 90) + 10);
  }
  if (pick(body, 20) == 2) return "```json\\n{" + scores + ", \\\"Z\\\": 3}\\n``` Enjoy!";
  return "{" + scores + "}";
}

/// The same, but for one prompt in ten, of whose answer nothing or half can be read.
std::string moody_answer(const std::string& body) {
  switch (pick(body, 20)) {
    case 0:
      return "I would rather not say.";
    case 1:
      return "Here you are: " + model_answer(body).substr(0, 40);
    default:
      return model_answer(body);
  }
}

FakeReply good(const std::string& body) {
  return {FakeReply::Kind::answer, 200, "", test::chat_completion(model_answer(body)), 0};
}

FakeReply moody(const std::string& body) {
  return {FakeReply::Kind::answer, 200, "", test::chat_completion(moody_answer(body)), 0};
}

/// One in five tries goes wrong, in all the ways there are; `salt` makes every try another draw.
FakeReply faulty(FakeReply reply, const std::string& body, int salt) {
  reply.delay_ms = static_cast<int>(pick(body + "delay", 4));  // answers overtake each other
  switch (pick(body + std::to_string(salt), 50)) {
    case 0:
    case 1:
      return {FakeReply::Kind::answer, 429, "Retry-After: 0\r\n", R"({"error":{"message":"slow down"}})", 0};
    case 2:
    case 3:
      return {FakeReply::Kind::answer, 500, "", "<html>oops</html>", 0};
    case 4:
      reply.kind = FakeReply::Kind::half;
      return reply;
    case 5:
      reply.kind = FakeReply::Kind::drop;
      return reply;
    case 6:
      reply.body = "\x01\x02 not JSON";
      return reply;
    case 7:
      reply.kind = FakeReply::Kind::twice;
      return reply;
    case 8:
      return {FakeReply::Kind::answer, 429, "Retry-After: 1\r\n", "", 0};
    case 9:
      reply.kind = pick(body + "hang", 10) == 0 ? FakeReply::Kind::hang : FakeReply::Kind::drop;
      return reply;
    default:
      return reply;
  }
}

class LlmCli : public testing::Test {
 protected:
  void make_data(int users) {
    SyntheticOptions options;
    options.users = users;
    options.items = 400;
    options.topics = 8;
    save_recbole(synthetic_dataset(options), folder_.path());
  }
  void SetUp() override {
    make_data(300);
    ::setenv("SLLMR_TEST_KEY", kKey, 1);
  }
  std::string data() const { return folder_ / "synthetic"; }
  std::vector<std::string> words(const FakeLlmServer& server, const std::string& out) const {
    return {"score",
            "--data",
            data(),
            "--scorer",
            "openai",
            "--url",
            server.url(),
            "--model",
            "fake",
            "--candidates",
            std::to_string(kCandidates),
            "--in-flight",
            "64",
            "--timeout",
            "2",
            "--tries",
            "30",
            "--retry-delay",
            "0.002",
            "--key-env",
            "SLLMR_TEST_KEY",
            "--out",
            folder_ / out};
  }
  static std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// Users whose sets are asked about: those with a history.
  std::int64_t askable() const {
    const Dataset dataset = load_dataset(data());
    const Split split = leave_one_out(dataset);
    std::int64_t users = 0;
    for (Id user = 1; user < dataset.users.rows(); ++user) users += split.train_items(user).size() >= 2;
    return users;
  }
  json origin(const std::string& out) const { return json::parse(read_all(folder_ / (out + ".json"))); }

  TemporaryFolder folder_;
};

TEST_F(LlmCli, TenThousandRequestsAFifthOfThemFaulty) {
  make_data(10500);
  std::string calm_table;
  json calm;
  {
    FakeLlmServer server([](const std::string&, const std::string& body, int) { return moody(body); });
    const double before = processor_seconds();
    const Outcome outcome = run_llm(with(words(server, "calm.tsv"), {"--users", "10000"}));
    // With the server's own time and all that a run does: reading the data, the plan, prompts, cache, table.
    const double rate = 10000 / (processor_seconds() - before);
    RecordProperty("requests_per_cpu_second", static_cast<int>(rate));
    EXPECT_GE(rate, kSanitized ? 200 : 2000);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    calm_table = read_all(folder_ / "calm.tsv");
    calm = origin("calm.tsv");
    const json& summary = calm["run"]["summary"];
    EXPECT_NEAR(summary["bad"].get<double>(), 500, 100);
    // A busy machine may let a reply come too late.
    const std::int64_t answered = server.requests() - summary["retries"]["timeouts"].get<int>();
    EXPECT_EQ(answered, 10000 + 2 * summary["bad"].get<int>()) << "those are asked three times";
    EXPECT_EQ(summary["paid_tokens_in"], 100 * answered) << "and paid for";
  }
  FakeLlmServer server(
      [](const std::string&, const std::string& body, int seen) { return faulty(moody(body), body, seen); });
  const Outcome outcome = run_llm(with(words(server, "faulty.tsv"), {"--users", "10000"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json summary = origin("faulty.tsv")["run"]["summary"];
  EXPECT_EQ(summary["answers"], 10000);
  EXPECT_EQ(summary["failed"], 0);
  EXPECT_EQ(server.distinct(), 10000);
  EXPECT_GT(server.requests(), 11000) << "the faults were meant to happen";
  for (const char* cause : {"rate_limited", "server_errors", "timeouts", "broken", "rejected"}) {
    EXPECT_GT(summary["retries"][cause].get<int>(), 0) << cause;
  }
  // Every pair scored or counted as defaulted, none twice (the table's reader refuses that), none lost.
  const Dataset dataset = load_dataset(data());
  const ScoreTable table = read_scores(folder_ / "faulty.tsv", dataset);
  EXPECT_EQ(table.size(), 10000 * kCandidates);
  EXPECT_EQ(summary["pairs"], 10000 * kCandidates);
  EXPECT_EQ(table.scored_users(), 10000);
  const json& faults = summary["faults"];
  EXPECT_EQ(
      summary["defaulted"].get<int>(),
      faults["missing"].get<int>() + faults["not_a_number"].get<int>() + faults["out_of_range"].get<int>());
  EXPECT_GT(summary["defaulted"].get<int>(), 0);
  // And the faults left no trace in the scores.
  EXPECT_EQ(read_all(folder_ / "faulty.tsv"), calm_table);
  EXPECT_EQ(summary["faults"], calm["run"]["summary"]["faults"]);
}

TEST_F(LlmCli, KilledTenTimesAndResumedTheTableIsTheSame) {
  make_data(2000);
  const std::int64_t users = askable();
  FakeLlmServer server([](const std::string&, const std::string& body, int seen) {
    FakeReply reply = faulty(good(body), body, seen);
    if (reply.kind == FakeReply::Kind::hang) reply.kind = FakeReply::Kind::drop;
    return reply;
  });
  ASSERT_EQ(run_llm(words(server, "whole.tsv")).status, 0);

  FakeLlmServer second([](const std::string&, const std::string& body, int seen) {
    FakeReply reply = faulty(good(body), body, seen);
    if (reply.kind == FakeReply::Kind::hang) reply.kind = FakeReply::Kind::drop;
    return reply;
  });
  std::vector<std::string> command = words(second, "killed.tsv");
  command.insert(command.begin(), "llm");
  std::uint32_t random = 12345;
  int killed = 0;
  while (killed < 10) {
    std::vector<char*> argv = {const_cast<char*>(SLLMR_PROGRAM)};
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    ASSERT_EQ(posix_spawn(&child, SLLMR_PROGRAM, &quiet, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&quiet);
    // Somewhere in the next twelfth of the answers.
    random = random * 1664525 + 1013904223;
    const std::int64_t at = second.answered() + 1 + static_cast<std::int64_t>(random >> 16) % (users / 12);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (second.answered() < at && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended before it could be killed";
    ++killed;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "killed.tsv"));
  const Outcome last = run_llm(words(second, "killed.tsv"));
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(read_all(folder_ / "killed.tsv"), read_all(folder_ / "whole.tsv"));
  // Only what was under way at a kill is paid again: at most 64 requests each time.
  EXPECT_LE(second.answered(), users + killed * 64);
  EXPECT_GT(origin("killed.tsv")["run"]["summary"]["cached"].get<int>(), 0);
}

TEST_F(LlmCli, TheKeyIsNowhere) {
  // A server that repeats the key wherever it can.
  const auto echo = [](const std::string& head, const std::string& body, int seen) {
    EXPECT_THAT(head, HasSubstr(kKey));
    if (seen == 0) return FakeReply{FakeReply::Kind::answer, 500, "", head, 0};
    if (pick(body, 10) == 0)
      return FakeReply{FakeReply::Kind::answer, 400, "", R"({"error":")" + std::string(kKey) + "\"}", 0};
    FakeReply reply = good(body);
    reply.body = test::chat_completion(std::string("Your key is ") + kKey + ". " + model_answer(body));
    return reply;
  };
  std::string said;
  {
    FakeLlmServer server(echo);
    const Outcome outcome = run_llm(words(server, "scores.tsv"));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    said += outcome.out + outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("[key]"));
    const Outcome reported = run_llm(
        {"report", "--data", data(), "--scores", folder_ / "scores.tsv", "--out", folder_ / "report"});
    EXPECT_EQ(reported.status, 0) << reported.err;
    said += reported.out;
    EXPECT_EQ(run_llm({"export", folder_ / "scores.tsv.cache", "--out", folder_ / "answers.jsonl"}).status,
              0);
    said += run_llm(with(words(server, "bad.tsv"), {"--max-bad", "0", "--cache", folder_ / "c2"})).err;
  }
  {
    FakeLlmServer server([](const std::string&, const std::string&, int) {
      return FakeReply{FakeReply::Kind::answer, 401, "",
                       R"({"error":{"message":"Incorrect API key: )" + std::string(kKey) + "\"}}", 0};
    });
    const Outcome refused = run_llm(words(server, "none.tsv"));
    EXPECT_EQ(refused.status, 1);
    EXPECT_THAT(refused.err, HasSubstr("--key-env"));
    said += refused.out + refused.err;
  }
  EXPECT_THAT(said, Not(HasSubstr(kKey)));
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
    if (!entry.is_regular_file()) continue;
    ++files;
    EXPECT_THAT(read_all(entry.path()), Not(HasSubstr(kKey))) << entry.path();
  }
  EXPECT_GE(files, 8);
}

TEST_F(LlmCli, TheKeyIsNowhereHoweverTheServerSpellsIt) {
  // JSON-escaped, URL-encoded, cut; in answers and in errors.
  const std::string escaped = R"(\u0073k-test-01234\u00356789abcdef)", url = "sk%2Dtest%2D0123456789abcdef";
  const auto echo = [&](const std::string&, const std::string& body, int) {
    const std::string& spelling = pick(body, 2) == 0 ? escaped : url;
    if (pick(body + "!", 8) == 0) {
      return FakeReply{FakeReply::Kind::answer, 400, "", R"({"error":{"message":"no )" + spelling + "\"}}",
                       0};
    }
    return FakeReply{FakeReply::Kind::answer, 200, "",
                     test::chat_completion(spelling + " or sk-test-0123****: " + model_answer(body)), 0};
  };
  FakeLlmServer server(echo);
  const Outcome outcome = run_llm(with(words(server, "scores.tsv"), {"--max-bad", "1"}));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  ASSERT_EQ(run_llm({"export", folder_ / "scores.tsv.cache", "--out", folder_ / "answers.jsonl"}).status, 0);
  std::string written = outcome.out + outcome.err;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    written += read_all(entry.path());
  EXPECT_THAT(written, HasSubstr("[key] or [key]****: "));
  for (const char* piece : {"sk-test", "0123456789", "56789abcdef", "sk%2D"}) {
    EXPECT_THAT(written, Not(HasSubstr(piece)));
  }
}

TEST_F(LlmCli, AKeyThatTheServerSplitsIsNowhere) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) {
    std::string parts = R"("The key: ")";
    const std::string key = kKey;
    for (std::size_t k = 0; k < key.size(); k += 5)
      parts += R"(, {"type": "text", "text": ")" + key.substr(k, 5) + "\"}";
    return FakeReply{
        FakeReply::Kind::answer, 200, "",
        R"({"choices": [{"message": {"content": [)" + parts + ", \". " + model_answer(body) + R"("]}}]})", 0};
  });
  const Outcome outcome = run_llm(with(words(server, "scores.tsv"), {"--users", "20"}));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  ASSERT_EQ(run_llm({"export", folder_ / "scores.tsv.cache", "--out", folder_ / "answers.jsonl"}).status, 0);
  EXPECT_THAT(read_all(folder_ / "answers.jsonl"), HasSubstr("The key: [key]. "));
  std::string written = outcome.out + outcome.err;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    written += read_all(entry.path());
  EXPECT_THAT(written, Not(HasSubstr(kKey)));
}

TEST_F(LlmCli, AKeyThatWasNotAskedForIsNotSent) {
  ::setenv("OPENAI_API_KEY", kKey, 1);
  std::atomic<int> with_key{0};
  FakeLlmServer server([&](const std::string& head, const std::string& body, int) {
    with_key += head.find("Authorization") != head.npos;
    return good(body);
  });
  auto silent = words(server, "a.tsv");
  const auto flag = std::find(silent.begin(), silent.end(), "--key-env");
  silent.erase(flag, flag + 2);
  const Outcome outcome = run_llm(silent);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("OPENAI_API_KEY is set, but not sent"));
  EXPECT_EQ(with_key, 0);
  const Outcome asked = run_llm(with(silent, {"--key-env", "OPENAI_API_KEY", "--cache", folder_ / "b"}));
  EXPECT_EQ(asked.status, 0) << asked.err;
  EXPECT_THAT(asked.err, Not(HasSubstr("note")));
  EXPECT_EQ(with_key, server.requests() / 2);
  ::unsetenv("OPENAI_API_KEY");
  EXPECT_THAT(run_llm(with(silent, {"--key-env", "SLLMR_NOT_SET"})).err,
              HasSubstr("--key-env SLLMR_NOT_SET"));
}

TEST_F(LlmCli, ParametersThatMayBeSecretsAreNotKept) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return good(body); });
  const auto parameters = [&](const std::string& out, const std::string& secret) {
    const Outcome outcome = run_llm(
        with(words(server, out), {"--param", "api_key=\"" + secret + "\"", "--param", "seed=3", "--param",
                                  "headers={\"X\":[\"" + secret + "\"]}", "--param", "pin=123456789"}));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_THAT(outcome.out + outcome.err + read_all(folder_ / (out + ".json")),
                testing::AllOf(Not(HasSubstr(secret)), Not(HasSubstr("123456789"))));
    return origin(out)["run"]["settings"]["parameters"];
  };
  const json one = parameters("a.tsv", "sesame-1");
  EXPECT_EQ(one["seed"], 3);
  EXPECT_EQ(one, parameters("b.tsv", "sesame-1"));
  EXPECT_NE(one["api_key"], parameters("c.tsv", "sesame-2")["api_key"]);
  for (const char* mistake : {"api_key=sesame-1", "sesame-1", "=sesame-1"}) {
    const Outcome outcome = run_llm(with(words(server, "d.tsv"), {"--param", mistake}));
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, testing::AllOf(HasSubstr("--param"), Not(HasSubstr("sesame"))));
  }
}

/// The most memory that the program takes when it runs `llm` with these words.
long peak_kib(std::vector<std::string> words) {
  std::vector<char*> argv = {const_cast<char*>(SLLMR_PROGRAM), const_cast<char*>("llm")};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, SLLMR_PROGRAM, &quiet, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&quiet);
  int status = 0;
  rusage usage{};
  EXPECT_EQ(::wait4(child, &status, 0, &usage), child);
  EXPECT_EQ(status, 0);
  return usage.ru_maxrss;
}

TEST_F(LlmCli, SixteenLargeRepliesAtOnceStayWithinBounds) {
  if (kSanitized) GTEST_SKIP() << "freed memory stays for a while";
  // 240 MiB at once, if all of them were held.
  const std::string reply(std::size_t{15} << 20, 'x');
  FakeLlmServer server([&](const std::string&, const std::string&, int) {
    return FakeReply{FakeReply::Kind::answer, 400, "", reply, 0};
  });
  auto command = with(words(server, "large.tsv"), {"--users", "16", "--max-bad", "1"});
  *(std::find(command.begin(), command.end(), "--timeout") + 1) = "100";
  const auto idle = peak_kib({"--help"});  // CUDA's libraries alone take hundreds of MiB
  const auto peak = peak_kib(command);
  EXPECT_EQ(server.requests(), 16) << "none is asked for twice";
  EXPECT_EQ(origin("large.tsv")["run"]["summary"]["failed"], 16);
  EXPECT_LT(peak - idle, 170 << 10);
}

TEST_F(LlmCli, AReplyOfManyValuesStaysWithinBounds) {
  if (kSanitized) GTEST_SKIP() << "freed memory stays for a while";
  // All that a reply may hold as small objects, and nearly as many values as it may have, at their largest.
  std::string objects = "[{}", texts = R"({"":"")";
  while (objects.size() < std::size_t{15} << 20) objects += ",{}";
  for (std::size_t k = 0; k + 10 < kMostReplyValues; ++k) texts += R"(,")" + std::to_string(k) + R"(":"x")";
  const auto idle = peak_kib({"--help"});
  for (const std::string& reply : {objects + "]", texts + "}"}) {
    FakeLlmServer server([&](const std::string&, const std::string&, int) {
      return FakeReply{FakeReply::Kind::answer, 200, "", reply, 0};
    });
    auto command = with(words(server, "large.tsv"), {"--users", "1", "--max-bad", "1"});
    *(std::find(command.begin(), command.end(), "--timeout") + 1) = "100";
    *(std::find(command.begin(), command.end(), "--tries") + 1) = "2";
    const auto peak = peak_kib(command);
    EXPECT_EQ(server.requests(), 2);
    EXPECT_EQ(origin("large.tsv")["run"]["summary"]["failed"], 1);
    EXPECT_LT(peak - idle, 200 << 10) << reply.substr(0, 20);
  }
}

TEST_F(LlmCli, FlagsOfAnotherScorerAreRefused) {
  // Flags with a value that none of them takes for wrong; of all others a number will do.
  const std::map<std::string, std::string> values = {{"--debias", "true"},
                                                     {"--param", "seed=3"},
                                                     {"--key-env", "PATH"},
                                                     {"--max-bad", "0.5"},
                                                     {"--min-known", "0.5"}};
  std::set<std::string> flags;
  for (const ScorerInfo& scorer : scorers()) flags.insert(scorer.flags.begin(), scorer.flags.end());
  EXPECT_GT(flags.size(), 20U);
  for (const ScorerInfo& scorer : scorers()) {
    for (const std::string& flag : flags) {
      if (std::ranges::find(scorer.flags, flag) != scorer.flags.end()) continue;
      std::vector<std::string> words = {"score",     "--data", data(),           "--scorer",
                                        scorer.name, "--out",  folder_ / "x.tsv"};
      words.push_back(flag);
      if (flag != "--forecast") words.push_back(values.contains(flag) ? values.at(flag) : "7");
      const Outcome outcome = run_llm(words);
      EXPECT_EQ(outcome.status, 1) << scorer.name << ' ' << flag;
      EXPECT_THAT(outcome.err,
                  testing::AllOf(HasSubstr("'" + flag + "' does not apply"), HasSubstr(scorer.name)));
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x.tsv"));
}

TEST_F(LlmCli, NumbersOutOfRangeAreRefusedBeforeAnythingIsDone) {
  const std::vector<std::pair<const char*, std::vector<const char*>>> bad = {
      {"--timeout", {"0.0001", "1e30", "nan", "inf", "-1", "0", "1e999", "5s"}},
      {"--retry-delay", {"0", "-1", "nan", "1e9"}},
      {"--in-flight", {"0", "-1", "5000", "1.5", "99999999999"}},
      {"--tries", {"0", "-3", "1000000"}},
      {"--requests-per-minute", {"nan", "-1", "inf", "1e300"}},
      {"--tokens-per-minute", {"nan", "-1", "inf"}},
      {"--max-bad", {"nan", "-0.1", "1.1", "inf"}},
      {"--min-described", {"nan", "-0.1", "1.1", "inf"}},
      {"--seed", {"-1", "1.5", "9223372036854775808", "x"}},
      {"--temperature", {"nan", "-1", "inf"}},
      {"--max-tokens", {"-1", "4294967296"}},
      {"--top-logprobs", {"0", "-1"}},
      {"--candidates", {"1", "0", "-5"}},
      {"--history", {"0", "-1"}},
      {"--permutations", {"0", "101"}},
      {"--users", {"-1", "1.5", "nan"}},
      {"--budget-prompts", {"-1"}},
      {"--budget-tokens", {"nan", "-1", "inf"}},
      {"--budget-money", {"nan", "-1", "inf", "1e400"}},
      {"--price-in", {"nan", "-1", "inf"}},
      {"--price-out", {"nan", "-1", "inf"}}};
  for (const auto& [flag, values] : bad) {
    for (const char* value : values) {
      const Outcome outcome = run_llm({"score", "--data", data(), "--scorer", "lexical", "--out",
                                       folder_ / "x.tsv", std::string(flag) + "=" + value});
      EXPECT_NE(outcome.status, 0) << flag << ' ' << value;
      EXPECT_THAT(outcome.err, testing::AllOf(HasSubstr(flag), HasSubstr(" in ["))) << flag << ' ' << value;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x.tsv"));
  EXPECT_NE(run_llm({"prompt", "scores", "--data", data(), "--candidates", "1"}).status, 0);
  EXPECT_THAT(run_llm({"prompt", "scores", "--data", data(), "--item", "1"}).err,
              HasSubstr("'--item' does not apply"));
  EXPECT_THAT(run_llm({"prompt", "kar_item", "--data", data(), "--candidates", "5"}).err,
              HasSubstr("'--candidates' does not apply"));
}

TEST_F(LlmCli, NothingIsPaidTwiceAndAnotherTemplateInvalidatesOnlyItself) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return good(body); });
  const std::int64_t users = askable();
  ASSERT_EQ(run_llm(words(server, "a.tsv")).status, 0);
  EXPECT_EQ(server.requests(), users);
  const std::string cache = folder_ / "a.tsv.cache";
  ASSERT_EQ(run_llm(with(words(server, "b.tsv"), {"--cache", cache})).status, 0);
  EXPECT_EQ(server.requests(), users);
  EXPECT_EQ(read_all(folder_ / "a.tsv"), read_all(folder_ / "b.tsv"));
  std::string text = prompt_template_text("scores");
  text.replace(text.find("Spread the scores."), 18, "Be brief.");
  std::ofstream(folder_ / "mine.toml") << text;
  const auto mine = with(words(server, "c.tsv"), {"--cache", cache, "--template", folder_ / "mine.toml"});
  ASSERT_EQ(run_llm(mine).status, 0);
  EXPECT_EQ(server.requests(), 2 * users);
  ASSERT_EQ(run_llm(mine).status, 0);
  ASSERT_EQ(run_llm(with(words(server, "d.tsv"), {"--cache", cache})).status, 0);
  EXPECT_EQ(server.requests(), 2 * users);
  const Outcome twice = run_llm(with(words(server, "e.tsv"), {"--cache", cache, "--permutations", "2"}));
  EXPECT_EQ(twice.status, 0) << twice.err;
  EXPECT_EQ(server.requests(), 3 * users) << "the first order is known";
  EXPECT_THAT(run_llm({"stats", cache}).out, HasSubstr(std::to_string(3 * users)));
}

/// A judge who looks at the place alone: A is good, whatever stands there.
TEST_F(LlmCli, PermutationsTellHowFarTheJudgeVaries) {
  FakeLlmServer server([](const std::string&, const std::string&, int) {
    return FakeReply{FakeReply::Kind::answer, 200, "",
                     test::chat_completion(R"({\"A\": 1, \"B\": 0, \"C\": 0, \"D\": 0, \"E\": 0, \"F\": 0})"),
                     0};
  });
  const Outcome once = run_llm(words(server, "once.tsv"));
  ASSERT_EQ(once.status, 0) << once.err;
  EXPECT_THAT(once.out, testing::Not(HasSubstr("variance")));
  const Outcome outcome = run_llm(with(words(server, "varied.tsv"), {"--permutations", "3"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("mean judge variance"));
  const Dataset dataset = load_dataset(data());
  EXPECT_THAT(read_scores(folder_ / "once.tsv", dataset).variances, testing::IsEmpty());
  const ScoreTable table = read_scores(folder_ / "varied.tsv", dataset);
  ASSERT_EQ(table.variances.size(), table.scores.size());
  int varied = 0;
  for (std::size_t k = 0; k < table.scores.size(); ++k) {
    const float mean = table.scores[k];  // of zeros and ones
    EXPECT_NEAR(table.variances[k], 4 * mean * (1 - mean), 1e-6);
    varied += table.variances[k] > 0;
  }
  EXPECT_GT(varied, 100);

  // Looked up in a table, converted, and told by the report.
  for (const char* format : {"tsv", "jsonl"}) {
    const std::string copy = folder_ / std::string("copy.") + format;
    const Outcome copied =
        run_llm({"score", "--data", data(), "--scorer", "file", "--in", folder_ / "varied.tsv",
                 "--candidates", std::to_string(kCandidates), "--format", format, "--out", copy});
    ASSERT_EQ(copied.status, 0) << copied.err;
    std::map<std::pair<Id, Id>, float> variances;
    for (const LlmScore& entry : entries_of(table)) variances[{entry.user, entry.item}] = entry.variance;
    for (const LlmScore& entry : entries_of(read_scores(copy, dataset))) {
      const auto found = variances.find({entry.user, entry.item});
      EXPECT_EQ(entry.variance, found == variances.end() ? 0.0F : found->second);
    }
  }
  const auto report = [&](const std::string& scores) {
    const Outcome told =
        run_llm({"report", "--data", data(), "--scores", folder_ / scores, "--out", folder_ / scores + ".r"});
    EXPECT_EQ(told.status, 0) << told.err;
    return read_all(folder_ / scores + ".r/report.md");
  };
  EXPECT_THAT(report("varied.tsv"),
              HasSubstr("judge variance over orders of the candidates, 0 to 1 | mean 0."));
  EXPECT_THAT(report("once.tsv"), HasSubstr("judge variance | none in the table"));
}

TEST_F(LlmCli, TooManyBadAnswersStopTheRunWithExamples) {
  FakeLlmServer server([](const std::string&, const std::string&, int) {
    return FakeReply{FakeReply::Kind::answer, 200, "", test::chat_completion("As a model I have no taste."),
                     0};
  });
  const Outcome outcome = run_llm(words(server, "scores.tsv"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err,
              testing::AllOf(HasSubstr("--max-bad"), HasSubstr("I have no taste"), HasSubstr("user ")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "scores.tsv"));
  EXPECT_LT(server.requests(), 500) << "it stopped early";
  const Outcome allowed = run_llm(with(words(server, "scores.tsv"), {"--max-bad", "1"}));
  EXPECT_EQ(allowed.status, 0) << allowed.err;
  EXPECT_EQ(origin("scores.tsv")["run"]["summary"]["defaulted"],
            origin("scores.tsv")["run"]["summary"]["pairs"]);
}

TEST_F(LlmCli, RepliesWithoutAnAnswerAreAskedAgainAndNeverCached) {
  // One reply in ten holds nothing, in a way that depends on the prompt.
  const std::string draft = R"({\"A\": 0.5, \"B\": 0.5, \"C\": 0.5, \"D\": 0.5, \"E\": 0.5, \"F\": 0.5})";
  const auto nothing = [&](const std::string& body) -> std::string {
    switch (pick(body + "kind", 6)) {
      case 0:
        return R"({"choices": [{"message": {"content": null}}]})";
      case 1:
        return test::chat_completion("");
      case 2:
        return R"({"choices": [{"finish_reason": "error", "error": {"message": "down"}, "message": {"content": ""}}]})";
      case 3:
        return test::chat_completion("<think>A draft: " + draft);
      case 4:
        return test::chat_completion("analysisA draft: " + draft);
      default:
        return R"({"choices": [{"message": {"content": null, "reasoning_content": ")" + draft + R"("}}]})";
    }
  };
  std::atomic<int> bad_tries{1};  // of such a prompt, before its answer
  FakeLlmServer server([&](const std::string&, const std::string& body, int seen) {
    if (pick(body + "nothing", 10) != 0 || seen >= bad_tries) return good(body);
    return FakeReply{FakeReply::Kind::answer, 200, "", nothing(body), 0};
  });
  // A second try gets the answer.
  ASSERT_EQ(run_llm(words(server, "second.tsv")).status, 0);
  const json summary = origin("second.tsv")["run"]["summary"];
  EXPECT_EQ(summary["bad"], 0);
  EXPECT_EQ(summary["defaulted"], 0);
  EXPECT_GT(summary["retries"]["rejected"].get<int>(), 10);
  const std::string right = read_all(folder_ / "second.tsv");
  // All tries fail: bad, and asked again by the next command, which then has the right table.
  FakeLlmServer other([&](const std::string&, const std::string& body, int) {
    if (pick(body + "nothing", 10) != 0 || bad_tries == 0) return good(body);
    return FakeReply{FakeReply::Kind::answer, 200, "", nothing(body), 0};
  });
  auto twice = words(other, "twice.tsv");
  *std::next(std::find(twice.begin(), twice.end(), "--tries")) = "2";
  ASSERT_EQ(run_llm(twice).status, 0);
  const json first = origin("twice.tsv")["run"]["summary"];
  EXPECT_EQ(first["bad"], summary["retries"]["rejected"]);
  EXPECT_EQ(first["defaulted"].get<int>(), kCandidates * first["bad"].get<int>()) << "no draft is a score";
  bad_tries = 0;
  const std::int64_t before = other.requests();
  ASSERT_EQ(run_llm(twice).status, 0);
  EXPECT_EQ(other.requests() - before, first["bad"].get<std::int64_t>());
  EXPECT_EQ(read_all(folder_ / "twice.tsv"), right);
}

TEST_F(LlmCli, AnotherServerIsAskedUnlessItHasTheSameName) {
  FakeLlmServer one([](const std::string&, const std::string& body, int) { return good(body); });
  FakeLlmServer two([](const std::string&, const std::string& body, int) { return good(body); });
  const std::string cache = folder_ / "cache";
  ASSERT_EQ(run_llm(with(words(one, "a.tsv"), {"--cache", cache})).status, 0);
  ASSERT_EQ(run_llm(with(words(two, "b.tsv"), {"--cache", cache})).status, 0);
  EXPECT_EQ(two.requests(), askable());
  ASSERT_EQ(run_llm(with(words(one, "c.tsv"), {"--cache", cache, "--server", "mine"})).status, 0);
  EXPECT_EQ(one.requests(), 2 * askable());
  ASSERT_EQ(run_llm(with(words(two, "d.tsv"), {"--cache", cache, "--server", "mine"})).status, 0);
  EXPECT_EQ(two.requests(), askable());
}

TEST_F(LlmCli, OnePromptThatTheServerRefusesDoesNotEndTheRun) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) {
    return pick(body, 50) == 0 ? FakeReply{FakeReply::Kind::answer, 403, "", R"({"error":"moderated"})", 0}
                               : good(body);
  });
  const Outcome outcome = run_llm(words(server, "scores.tsv"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_GT(origin("scores.tsv")["run"]["summary"]["failed"].get<int>(), 0);
  EXPECT_THAT(outcome.out, HasSubstr("moderated"));
}

TEST_F(LlmCli, TheForecastAsksNobodyAndBudgetsHold) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return good(body); });
  const auto priced = with(words(server, "s.tsv"), {"--price-in", "0.15", "--price-out", "0.6"});
  const Outcome foreseen = run_llm(with(priced, {"--forecast"}));
  EXPECT_EQ(foreseen.status, 0) << foreseen.err;
  EXPECT_THAT(foreseen.out, testing::AllOf(HasSubstr("prompts for"), HasSubstr("money")));
  EXPECT_EQ(server.requests(), 0);
  ASSERT_EQ(run_llm(with(priced, {"--budget-prompts", "7", "--priority", "cold"})).status, 0);
  EXPECT_EQ(server.requests(), 7);
  EXPECT_EQ(run_llm(with(priced, {"--budget-money", "0.000001"})).status, 1);
  const json summary = origin("s.tsv")["run"]["summary"];
  EXPECT_EQ(summary["tokens_in"], 700);
  EXPECT_NEAR(summary["money"].get<double>(), 1e-6 * (700 * 0.15 + 350 * 0.6), 1e-12);
}

TEST_F(LlmCli, BatchFilesGoOutAndComeBackInAnyOrder) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return good(body); });
  ASSERT_EQ(run_llm(words(server, "direct.tsv")).status, 0);
  const auto batch = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = {"score",
                                    "--data",
                                    data(),
                                    "--scorer",
                                    "batch",
                                    "--model",
                                    "fake",
                                    "--candidates",
                                    std::to_string(kCandidates),
                                    "--batch",
                                    folder_ / "batch",
                                    "--out",
                                    folder_ / "batch.tsv"};
    return run_llm(with(all, more));
  };
  const Outcome written = batch({});
  ASSERT_EQ(written.status, 0) << written.err;
  EXPECT_THAT(written.out, HasSubstr("run the same command again"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "batch.tsv"));

  std::vector<std::string> results;
  std::ifstream requests(folder_ / "batch/requests-1.jsonl");
  for (std::string line; std::getline(requests, line);) {
    const json request = json::parse(line);
    EXPECT_EQ(request["url"], "/v1/chat/completions");
    // The server sees the same body, so the model says the same.
    const std::string body =
        line.substr(line.find("\"body\":") + 7, line.size() - line.find("\"body\":") - 8);
    json result = {{"custom_id", request["custom_id"]}, {"error", nullptr}};
    result["response"] = {{"status_code", 200},
                          {"body", json::parse(test::chat_completion(model_answer(body)))}};
    if (results.empty())
      result["response"] = {{"status_code", 400}, {"body", {{"error", {{"message", "too long"}}}}}};
    if (results.size() == 1)
      result = {
          {"custom_id", request["custom_id"]}, {"response", nullptr}, {"error", {{"message", "expired"}}}};
    results.push_back(result.dump());
  }
  ASSERT_EQ(static_cast<std::int64_t>(results.size()), askable());
  std::reverse(results.begin(), results.end());
  std::ofstream first(folder_ / "batch/output_2.jsonl"), second(folder_ / "batch/output_1.jsonl");
  for (std::size_t k = 0; k < results.size(); ++k) (k % 3 == 0 ? first : second) << results[k] << '\n';
  first << results[5] << '\n';  // a duplicate
  first << R"({"custom_id": "00000000000000000000000000000000", "response": null, "error": null})" << '\n';
  first.close();
  second.close();

  const Outcome read = batch({});
  ASSERT_EQ(read.status, 0) << read.err;
  const std::string failures = read_all(folder_ / "batch/failures.jsonl");
  EXPECT_EQ(std::count(failures.begin(), failures.end(), '\n'), 2);
  EXPECT_THAT(failures, testing::AllOf(HasSubstr("too long"), HasSubstr("expired")));
  const json summary = origin("batch.tsv")["run"]["summary"];
  EXPECT_EQ(summary["failed"], 2);
  const Dataset dataset = load_dataset(data());
  const ScoreTable direct = read_scores(folder_ / "direct.tsv", dataset),
                   table = read_scores(folder_ / "batch.tsv", dataset);
  ASSERT_EQ(direct.size(), table.size());
  std::int64_t different = 0;
  for (Id user = 1; user < dataset.users.rows(); ++user) {
    different += !std::ranges::equal(direct.scores_of(user), table.scores_of(user));
  }
  EXPECT_LE(different, 2);
  const std::string again = read_all(folder_ / "batch/requests-1.jsonl");
  EXPECT_EQ(std::count(again.begin(), again.end(), '\n'), 2) << "what is open is written again";
}

TEST_F(LlmCli, OnlyTheProgramsOwnFilesOfABatchFolderAreReplaced) {
  make_data(40);
  const std::string batch = folder_ / "batch/";
  const auto score = [&](const std::string& out) {
    return run_llm({"score", "--data", data(), "--scorer", "batch", "--model", "fake", "--candidates",
                    std::to_string(kCandidates), "--batch", folder_ / "batch", "--max-bad", "1", "--out",
                    folder_ / out});
  };
  ASSERT_EQ(score("t.tsv").status, 0);
  std::vector<std::string> results;
  std::ifstream requests(batch + "requests-1.jsonl");
  for (std::string line; std::getline(requests, line);) {
    const json content =
        results.size() == 0 ? json() : json(R"({"A":0.1,"B":0.2,"C":0.3,"D":0.4,"E":0.5,"F":0.6})");
    const json body = {{"choices", {{{"message", {{"content", content}}}}}}};
    const json id = json::parse(line)["custom_id"];
    results.push_back(
        results.size() == 1
            ? "{\"custom_id\":" + id.dump() + ",\"response\":{\"body\":" + std::string(60000, '[')
            : json({{"custom_id", id}, {"error", nullptr}, {"response", {{"body", body}}}}).dump());
  }
  requests.close();
  ASSERT_GT(results.size(), 20U);
  // A part of them under each name that somebody may give, over the program's own files too.
  std::map<std::string, std::string> files = {{"requests-1_results.jsonl", ""}, {"requests-01.jsonl", ""},
                                              {"requests-1.jsonl", ""},         {"failures.jsonl", ""},
                                              {"failures_old.jsonl", ""},       {"requests-2.jsonl", ""}};
  auto file = files.begin();
  for (const std::string& result : results) {
    file->second += result + "\n";
    if (++file == files.end()) file = files.begin();
  }
  files["requests-backup.tar.gz"] = "archive";
  files["requests-1.out"] = "something";
  files["requests-old.jsonl"] = R"({"custom_id":"x","method":"POST","body":{}})";
  // Requests of somebody else under the program's name.
  files["requests-5.jsonl"] = R"({"custom_id":"mine-1","method":"POST","url":"/v1/embeddings","body":{}})";
  for (const auto& [name, text] : files) std::ofstream(batch + name) << text;
  std::filesystem::create_directories(batch + "requests-old");
  std::filesystem::create_directories(batch + "requests-9.jsonl/x");
  std::ofstream(batch + "requests-7.jsonl") << R"({"custom_id":")" << std::string(32, 'a')
                                            << R"(","method":"POST","url":"/v1/chat/completions","body":{}})";

  const Outcome read = score("t.tsv");
  ASSERT_EQ(read.status, 0) << read.err;
  for (const auto& [name, text] : files) EXPECT_EQ(read_all(batch + name), text) << name;
  EXPECT_TRUE(std::filesystem::exists(batch + "requests-9.jsonl/x"));
  EXPECT_FALSE(std::filesystem::exists(batch + "requests-7.jsonl"))
      << "the program's own, of an earlier call";
  const json summary = origin("t.tsv")["run"]["summary"];
  EXPECT_EQ(summary["failed"], 2);
  EXPECT_EQ(summary["cached"].get<std::size_t>(), results.size() - 2);
  // What holds no answer is listed and written again, beside what stands there.
  const std::string again = read_all(batch + "requests-3.jsonl"),
                    failures = read_all(batch + "failures-2.jsonl");
  EXPECT_EQ(std::count(again.begin(), again.end(), '\n'), 2);
  EXPECT_EQ(std::count(failures.begin(), failures.end(), '\n'), 2);
  EXPECT_THAT(failures, testing::AllOf(HasSubstr("the answer is empty"), HasSubstr("nested too deep")));
  ASSERT_EQ(score("t.tsv").status, 0);
  EXPECT_EQ(read_all(batch + "requests-3.jsonl"), again) << "replaced, as it is the program's";
}

/// A batch folder with the requests of 40 users.
class LlmBatch : public LlmCli {
 protected:
  void SetUp() override {
    LlmCli::SetUp();
    make_data(40);
    ASSERT_EQ(score().status, 0);
    std::istringstream requests(text("requests-1.jsonl"));
    for (std::string line; std::getline(requests, line);) {
      const json content = R"({"A":0.1,"B":0.2,"C":0.3,"D":0.4,"E":0.5,"F":0.6})";
      const json body = {{"choices", {{{"message", {{"content", content}}}}}}};
      results_.push_back({{"custom_id", json::parse(line)["custom_id"]},
                          {"error", nullptr},
                          {"response", {{"status_code", 200}, {"body", body}}}});
    }
    ASSERT_GT(results_.size(), 20U);
  }
  Outcome score() const {
    return run_llm({"score", "--data", data(), "--scorer", "batch", "--model", "fake", "--candidates",
                    std::to_string(kCandidates), "--batch", folder_ / "batch", "--out", folder_ / "t.tsv"});
  }
  std::string path(const std::string& name) const { return folder_ / ("batch/" + name); }
  std::string text(const std::string& name) const { return read_all(path(name)); }
  /// Results `from` to `to` as lines.
  std::string lines(std::size_t from, std::size_t to) const {
    std::string all;
    for (std::size_t k = from; k < to; ++k) all += results_[k].dump() + "\n";
    return all;
  }
  /// All is answered by what came back.
  void expect_whole(const Outcome& outcome) const {
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(origin("t.tsv")["run"]["summary"]["failed"], 0);
    EXPECT_EQ(origin("t.tsv")["run"]["summary"]["cached"], results_.size());
  }

  std::vector<json> results_;
};

TEST_F(LlmBatch, ResultsBehindTheProgramsOwnLinesAreReadAndKept) {
  const std::size_t half = results_.size() / 2;
  const std::string requests = text("requests-1.jsonl") + lines(0, half);
  const std::string failures = json({{"custom_id", results_[0]["custom_id"]}, {"reason", "r"}}).dump() +
                               "\n" + lines(half, results_.size());
  std::ofstream(path("requests-1.jsonl")) << requests;
  std::ofstream(path("failures.jsonl")) << failures;
  const Outcome outcome = score();
  expect_whole(outcome);
  EXPECT_EQ(text("requests-1.jsonl"), requests);
  EXPECT_EQ(text("failures.jsonl"), failures);
  EXPECT_THAT(outcome.err, Not(HasSubstr("warning")));
}

TEST_F(LlmBatch, LinesOfNobodyCostOnlyThemselves) {
  const std::string notes = "{\"note\":\"mine\"}\n";
  std::ofstream(path("notes.jsonl")) << notes;
  // What is no result brings none.
  Outcome outcome = score();
  EXPECT_THAT(outcome.err, HasSubstr("notes.jsonl: no line has a custom_id"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "t.tsv"));
  std::ofstream(path("out.jsonl")) << lines(0, 3) << "\n \r\ngarbage\n[]\nnull\n{\"custom_id\":7}\n"
                                   << std::string("\0\n", 2) << lines(3, results_.size());
  outcome = score();
  expect_whole(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("out.jsonl: lines without a custom_id: 5, the first is line 6;"));
  EXPECT_EQ(text("notes.jsonl"), notes);
}

TEST_F(LlmBatch, AnEmptyErrorAndAnySuccessAreAnswers) {
  const std::vector<json> errors = {"", json::object(), json::array(), false, nullptr};
  const std::vector<json> codes = {200, "200", 201, "299"};
  for (std::size_t k = 0; k < results_.size(); ++k) {
    results_[k]["error"] = errors[k % errors.size()];
    results_[k]["response"]["status_code"] = codes[k % codes.size()];
  }
  // And those are none.
  results_[0]["error"] = "busy";
  results_[1]["error"] = {{"message", "full"}};
  results_[2]["response"]["status_code"] = "429";
  results_[3]["response"]["status_code"] = 300;
  results_[4]["response"]["status_code"] = 20;
  std::ofstream(path("out.jsonl")) << lines(0, results_.size());
  score();
  const std::string failures = text("failures.jsonl");
  EXPECT_EQ(std::count(failures.begin(), failures.end(), '\n'), 5);
  EXPECT_THAT(failures, testing::AllOf(HasSubstr("busy"), HasSubstr("full"), HasSubstr("429"),
                                       HasSubstr("status 300"), HasSubstr("status 20:")));
}

TEST_F(LlmBatch, ResultsAreReadUnderAnyName) {
  const std::size_t third = results_.size() / 3;
  std::ofstream(path("out.JSONL")) << "\xEF\xBB\xBF" << lines(0, third);
  std::ofstream(path("out.json")) << lines(third, 2 * third);
  std::ofstream(path("out")) << lines(2 * third, results_.size());
  std::ofstream(path("readme.txt")) << R"(The "custom_id" and the "response")";
  std::ofstream(path("notes.json")) << R"({"custom_id": "mine"})";
  const Outcome outcome = score();
  expect_whole(outcome);
  EXPECT_THAT(outcome.err, Not(HasSubstr("warning")));
}

TEST_F(LlmBatch, LinesLongerThanAnyBufferAreReadWhole) {
  results_[1]["padding"] = std::string(200'000, 'x');
  std::string all = lines(0, results_.size());
  all.pop_back();  // nor does the last one need an end
  std::ofstream(path("out.jsonl")) << all;
  expect_whole(score());
}

TEST_F(LlmCli, MalformedEmbeddingsAreAskedAgain) {
  make_data(60);
  enum {
    fine,
    no_index,
    half_index,
    twice,
    beyond,
    negative,
    few,
    null,
    strings,
    huge,
    ragged,
    zero,
    tiny,
    deep,
    base64,
    kinds
  };
  std::atomic<int> fault{fine};
  std::atomic<bool> once{true};
  FakeLlmServer server([&](const std::string&, const std::string& body, int seen) {
    json rows = json::array();
    const json request = json::parse(body);
    for (const json& input : request["input"]) {
      const auto text = input.get<std::string>();
      rows.push_back(
          {{"index", rows.size()}, {"embedding", {double(pick(text, 7)), 1.0, double(pick(text + "x", 5))}}});
    }
    const int kind = seen > 0 && once && fault != no_index && fault != base64 ? int(fine) : fault.load();
    json usage = {{"prompt_tokens", 10}};
    if (kind == no_index)
      for (json& row : rows) row.erase("index");
    if (kind == half_index) rows[0].erase("index");
    if (kind == twice) rows[1]["index"] = 0;
    if (kind == beyond) rows[0]["index"] = rows.size();
    if (kind == negative) rows[0]["index"] = -1;
    if (kind == few) rows.erase(rows.size() - 1);
    if (kind == null) rows[0]["embedding"] = nullptr;
    if (kind == strings) rows[0]["embedding"] = {"a", "b", "c"};
    if (kind == huge) rows[0]["embedding"] = {1e39, 1.0, 1.0};
    if (kind == ragged) rows[0]["embedding"] = {1.0};
    if (kind == zero) rows[0]["embedding"] = {0.0, 0.0, 0.0};
    if (kind == tiny) rows[0]["embedding"] = {1e-44, 0.0, 0.0};
    if (kind == base64)
      for (json& row : rows) row["embedding"] = "AACAPwAAAEAAAEBA";  // 1, 2, 3
    std::string text = json{{"data", rows}, {"usage", usage}}.dump();
    if (kind == deep)
      text.insert(text.size() - 1, ",\"x\":" + std::string(60000, '[') + std::string(60000, ']'));
    return FakeReply{FakeReply::Kind::answer, 200, "", text, 0};
  });
  const auto embed = [&](const std::string& out, const char* tries = "3") {
    auto command = with(words(server, out), {"--server", out});
    *std::find(command.begin(), command.end(), "openai") = "embeddings";
    *std::next(std::find(command.begin(), command.end(), "--tries")) = tries;
    return run_llm(command);
  };
  ASSERT_EQ(embed("right.tsv").status, 0);
  const std::string right = read_all(folder_ / "right.tsv");
  for (fault = no_index; fault < base64; ++fault) {
    const std::string out = "e" + std::to_string(fault) + ".tsv";
    server.forget();
    const Outcome outcome = embed(out);
    ASSERT_EQ(outcome.status, 0) << fault << outcome.err;
    EXPECT_EQ(read_all(folder_ / out), right) << fault;
    EXPECT_EQ(origin(out)["run"]["summary"]["retries"]["rejected"].get<int>() > 0, fault != no_index)
        << fault;
  }
  fault = base64;
  ASSERT_EQ(embed("b.tsv").status, 0);
  EXPECT_EQ(origin("b.tsv")["run"]["summary"]["bad"], 0);
  // For ever: bad, not cached, and mended by the next command.
  once = false;
  fault = huge;
  EXPECT_THAT(embed("never.tsv", "2").err, HasSubstr("--max-bad"));
  fault = fine;
  ASSERT_EQ(embed("never.tsv").status, 0);
  EXPECT_EQ(read_all(folder_ / "never.tsv"), right);
  // A cache with nulls and zeros, as older versions kept them.
  sqlite3* cache = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "never.tsv.cache").c_str(), &cache), SQLITE_OK);
  sqlite3_exec(cache, "UPDATE answers SET answer = '[null,1,2]' WHERE key < '4'", nullptr, nullptr, nullptr);
  sqlite3_exec(cache, "UPDATE answers SET answer = '[0,0,0]' WHERE key > 'c'", nullptr, nullptr, nullptr);
  sqlite3_close(cache);
  ASSERT_EQ(embed("never.tsv").status, 0);
  EXPECT_EQ(read_all(folder_ / "never.tsv"), right);
}

TEST_F(LlmCli, EmbeddingsHaveTheSizeOfMost) {
  make_data(60);
  std::atomic<std::int64_t> wrong{0};  // replies of the wrong size, the first ones
  const auto serve = [&](const std::string&, const std::string& body, int) {
    const bool narrow = wrong > 0 && wrong-- > 0;
    json rows = json::array();
    const json request = json::parse(body);
    for (const json& input : request["input"]) {
      const auto text = input.get<std::string>();
      json vector = {double(pick(text, 7)), 1.0, double(pick(text + "x", 5))};
      if (narrow) vector.erase(0);
      rows.push_back({{"index", rows.size()}, {"embedding", vector}});
    }
    return FakeReply{FakeReply::Kind::answer, 200, "", json({{"data", rows}, {"usage", nullptr}}).dump(), 0};
  };
  FakeLlmServer server(serve);
  const auto embed = [&](const std::string& out) {
    auto command = with(words(server, out), {"--server", out});
    *std::find(command.begin(), command.end(), "openai") = "embeddings";
    *std::next(std::find(command.begin(), command.end(), "--in-flight")) = "1";
    *std::next(std::find(command.begin(), command.end(), "--tries")) = "2";
    return run_llm(command);
  };
  ASSERT_EQ(embed("right.tsv").status, 0);
  const std::string right = read_all(folder_ / "right.tsv");
  const std::int64_t whole = server.requests();
  ASSERT_GT(whole, 3);
  // The first reply decides nothing, and only its texts are asked for again.
  wrong = 1;
  ASSERT_EQ(embed("first.tsv").status, 0);
  EXPECT_EQ(read_all(folder_ / "first.tsv"), right);
  EXPECT_EQ(server.requests(), 2 * whole + 1);
  EXPECT_EQ(origin("first.tsv")["run"]["summary"]["bad"], 0);
  // A cache with vectors of another model: those alone are asked for.
  sqlite3* cache = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "first.tsv.cache").c_str(), &cache), SQLITE_OK);
  sqlite3_exec(cache, "UPDATE answers SET answer = '[1,2]' WHERE key < '2'", nullptr, nullptr, nullptr);
  const int changed = sqlite3_changes(cache);
  sqlite3_close(cache);
  ASSERT_GT(changed, 0);
  ASSERT_EQ(embed("first.tsv").status, 0);
  EXPECT_EQ(read_all(folder_ / "first.tsv"), right);
  EXPECT_EQ(server.requests(), 2 * whole + 1 + (changed + 63) / 64);
  const json summary = origin("first.tsv")["run"]["summary"];
  EXPECT_EQ(summary["cached"].get<int>(), summary["answers"].get<int>() - changed);
  // A server that goes on: bad, until it is mended.
  cache = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "first.tsv.cache").c_str(), &cache), SQLITE_OK);
  sqlite3_exec(cache, "UPDATE answers SET answer = '[1,2]' WHERE key < '2'", nullptr, nullptr, nullptr);
  sqlite3_close(cache);
  wrong = 1000;
  ASSERT_EQ(embed("first.tsv").status, 0);
  EXPECT_EQ(origin("first.tsv")["run"]["summary"]["bad"], changed);
  wrong = 0;
  ASSERT_EQ(embed("first.tsv").status, 0);
  EXPECT_EQ(read_all(folder_ / "first.tsv"), right);
}

TEST_F(LlmCli, EmbeddingsAreCosinesAndCached) {
  FakeLlmServer server([](const std::string& head, const std::string& body, int) {
    EXPECT_THAT(head, HasSubstr("POST /v1/embeddings"));
    json reply = {{"data", json::array()}, {"usage", {{"prompt_tokens", 10}}}};
    const json input = json::parse(body)["input"];
    // Backwards: the index counts, not the place.
    for (std::size_t k = input.size(); k-- > 0;) {
      const auto text = input[k].get<std::string>();
      reply["data"].push_back(
          {{"index", k}, {"embedding", {double(pick(text, 7)), 1.0, double(pick(text + "x", 5))}}});
    }
    return FakeReply{FakeReply::Kind::answer, 200, "", reply.dump(), 0};
  });
  auto embed = words(server, "e.tsv");
  *std::find(embed.begin(), embed.end(), "openai") = "embeddings";
  const Outcome outcome = run_llm(embed);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto requests = server.requests();
  EXPECT_GT(requests, 1);
  const std::string table = read_all(folder_ / "e.tsv");
  ASSERT_EQ(run_llm(embed).status, 0);
  EXPECT_EQ(server.requests(), requests);
  EXPECT_EQ(read_all(folder_ / "e.tsv"), table);
}

TEST_F(LlmCli, LogProbabilitiesOfLabelsAreScores) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) {
    const json request = json::parse(body);
    EXPECT_EQ(request["max_tokens"], 1);
    json top = json::array();
    for (std::size_t k = 0; k < kCandidates; ++k) {
      // A model that likes the first place, and beyond that the texts.
      top.push_back({{"token", candidate_label(k)},
                     {"logprob", -1.0 - 0.1 * double(pick(body + candidate_label(k), 30)) - (k > 0)}});
    }
    const json logprobs = {{"content", {{{"token", "A"}, {"logprob", -1.0}, {"top_logprobs", top}}}}};
    return FakeReply{FakeReply::Kind::answer, 200, "", test::chat_completion("A", logprobs.dump()), 0};
  });
  const Outcome outcome = run_llm(with(words(server, "c.tsv"), {"--template", "choice"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json summary = origin("c.tsv")["run"]["summary"];
  const auto position = summary["position_mean"].get<std::vector<double>>();
  ASSERT_EQ(position.size(), static_cast<std::size_t>(kCandidates));
  EXPECT_GT(position[0], 1.5 * position[1]) << "the report shows the bias";
  EXPECT_EQ(summary["defaulted"], 0);
  // Without logprobs in the answers there is nothing to read.
  FakeLlmServer silent([](const std::string&, const std::string& body, int) { return good(body); });
  EXPECT_THAT(run_llm(with(words(silent, "d.tsv"), {"--template", "choice"})).err,
              HasSubstr("log-probabilities"));
}

TEST_F(LlmCli, AScoreIsThatOfItsItemWhereverThePromptShowsIt) {
  // A model that goes by the text alone.
  const auto likes = [](const std::string& title) {
    return -1.0 - 0.1 * static_cast<double>(pick(title, 50));
  };
  FakeLlmServer server([&](const std::string&, const std::string& body, int) {
    const auto prompt = json::parse(body)["messages"][0]["content"].get<std::string>();
    json top = json::array();
    std::istringstream lines(prompt);
    for (std::string line; std::getline(lines, line);) {
      if (line.size() > 3 && line[1] == '.' && line[2] == ' ') {
        top.push_back({{"token", line.substr(0, 1)}, {"logprob", likes(line.substr(3))}});
      }
    }
    EXPECT_EQ(top.size(), static_cast<std::size_t>(kCandidates));
    const json logprobs = {{"content", {{{"token", "A"}, {"logprob", -1.0}, {"top_logprobs", top}}}}};
    return FakeReply{FakeReply::Kind::answer, 200, "", test::chat_completion("A", logprobs.dump()), 0};
  });
  const Outcome outcome = run_llm(
      with(words(server, "c.tsv"), {"--template", "choice", "--permutations", "3", "--debias", "false"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_GT(server.distinct(), 2 * askable());
  const Dataset dataset = load_dataset(data());
  const ScoreTable table = read_scores(folder_ / "c.tsv", dataset);
  for (Id user = 1; user < dataset.users.rows(); ++user) {
    const auto items = table.items_of(user);
    for (std::size_t k = 0; k < items.size(); ++k) {
      const double best = likes(item_text(dataset, items[0])), own = likes(item_text(dataset, items[k]));
      EXPECT_NEAR(table.scores_of(user)[k], std::exp(own - best), 1e-5);
    }
  }
}

TEST_F(LlmCli, TheFileScorerLooksUpWhatIsThere) {
  const std::string table = folder_ / "lexical.tsv";
  ASSERT_EQ(run_llm({"score", "--data", data(), "--scorer", "lexical", "--out", table}).status, 0);
  const Outcome outcome =
      run_llm({"score", "--data", data(), "--scorer", "file", "--in", table, "--out", folder_ / "copy.tsv"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(read_all(folder_ / "copy.tsv"), read_all(table));
  const Outcome other = run_llm({"score", "--data", data(), "--scorer", "file", "--in", table, "--seed", "9",
                                 "--out", folder_ / "other.tsv"});
  EXPECT_EQ(other.status, 0) << other.err;
  EXPECT_GT(origin("other.tsv")["run"]["summary"]["defaulted"].get<int>(), 0);
}

TEST_F(LlmCli, AnothersTableBesideAnOldNoteIsNotReplaced) {
  const std::string table = folder_ / "scores.tsv";
  const auto score = [&](const std::vector<std::string>& more) {
    return run_llm(with({"score", "--data", data(), "--scorer", "lexical", "--out", table}, more));
  };
  ASSERT_EQ(score({}).status, 0);
  const std::string own = read_all(table);
  EXPECT_EQ(score({"--seed", "2"}).status, 0) << "its own table of other settings";
  EXPECT_NE(read_all(table), own);
  const std::string others = own + own.substr(own.rfind('\n', own.size() - 2) + 1);
  std::ofstream(table) << others;
  const Outcome refusal = score({});
  EXPECT_EQ(refusal.status, 1);
  EXPECT_THAT(refusal.err, HasSubstr("give --force"));
  EXPECT_EQ(read_all(table), others);
  EXPECT_EQ(score({"--force"}).status, 0);
  EXPECT_EQ(read_all(table), own);
  // Older versions did not note which table theirs is.
  json note = origin("scores.tsv");
  ASSERT_EQ(note.erase("table_hash"), 1U);
  std::ofstream(table + ".json") << note;
  std::ofstream(table) << others;
  EXPECT_EQ(score({}).status, 0);
  EXPECT_EQ(read_all(table), own);
}

TEST_F(LlmCli, MistakesAreNamed) {
  const auto error = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"score",  "--data", data(),           "--scorer",
                                    "openai", "--out",  folder_ / "x.tsv"};
    const Outcome outcome = run_llm(with(all, more));
    EXPECT_EQ(outcome.status, 1);
    return outcome.err;
  };
  EXPECT_THAT(error({"--model", "m"}), HasSubstr("http://"));
  EXPECT_THAT(error({"--url", "http://127.0.0.1:1/v1"}), HasSubstr("--model"));
  EXPECT_THAT(error({"--url", "http://127.0.0.1:1/v1", "--model", "m", "--tries", "1"}),
              HasSubstr("no answer from"));
  EXPECT_THAT(error({"--template", "none"}), HasSubstr("template"));
  EXPECT_THAT(error({"--param", "seed"}), HasSubstr("NAME=JSON"));
  EXPECT_THAT(run_llm({"stats", folder_ / "nothing"}).err, HasSubstr("nothing"));
}

}  // namespace
}  // namespace sllmr
