// `sllmr llm embed`: vectors that are whole or not there, and nothing paid twice.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "host/text/item_texts.h"
#include "host/text/text_vectors.h"
#include "tests/experiments/cli.h"
#include "tests/support/fake_llm_server.h"

namespace sllmr {
namespace {

using nlohmann::json;
using test::FakeLlmServer;
using test::FakeReply;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Some vector that depends on the text alone.
std::vector<double> vector_of(const std::string& text, std::size_t width) {
  std::vector<double> vector(width, 1.0);
  for (std::size_t k = 0; k < text.size(); ++k) vector[k % width] += static_cast<double>(text[k] % 13);
  return vector;
}

std::vector<std::string> texts_of(const std::string& body) {
  return json::parse(body)["input"].get<std::vector<std::string>>();
}

FakeReply embeddings(const std::string& body, std::size_t width, std::size_t left_out = 0) {
  json reply = {{"data", json::array()}, {"usage", {{"prompt_tokens", 100}}}};
  const std::vector<std::string> texts = texts_of(body);
  for (std::size_t k = 0; k + left_out < texts.size(); ++k) {
    reply["data"].push_back({{"index", k}, {"embedding", vector_of(texts[k], width)}});
  }
  return {FakeReply::Kind::answer, 200, "", reply.dump(), 0};
}

class LlmEmbed : public CliTest {
 protected:
  std::string out() const { return folder_ / "v.safetensors"; }
  std::vector<std::string> words(const std::string& encoder,
                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"llm", "embed", "--data", data(), "--encoder", encoder, "--out", out()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome ask(const FakeLlmServer& server, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--url", server.url(), "--model", "fake", "--retry-delay", "0.002", "--tries",
                               "3", "--in-flight", "1"});
    return run(words("openai", more));
  }
  json note() const { return json::parse(read_all(out() + ".json")); }
  bool nothing_is_written() const {
    return !std::filesystem::exists(out()) && !std::filesystem::exists(out() + ".json");
  }
};

TEST_F(LlmEmbed, TheStandInNeedsNoServer) {
  const Outcome outcome = run(words("tfidf", {"--width", "16"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("items, vectors of 16 numbers"));
  EXPECT_EQ(outcome.err, "") << "no bar in a pipe";
  const Dataset dataset = load_dataset(data());
  const TextVectors vectors = load_text_vectors(out(), dataset);
  EXPECT_EQ(vectors.width, 16);
  EXPECT_EQ(vectors.origin["encoder"], "tfidf");
  EXPECT_EQ(note()["run"]["placeholders"], 0);
  EXPECT_FALSE(std::filesystem::exists(out() + ".cache"));
  const std::string before = read_all(out());
  ASSERT_EQ(run(words("tfidf", {"--width", "16"})).status, 0) << "it may replace its own";
  EXPECT_EQ(read_all(out()), before);
}

TEST_F(LlmEmbed, EveryTextIsAskedOnceAndPaidOnce) {
  std::multiset<std::string> asked;
  FakeLlmServer server([&](const std::string& head, const std::string& body, int) {
    EXPECT_THAT(head, HasSubstr("POST /v1/embeddings"));
    for (const std::string& text : texts_of(body)) asked.insert(text);
    return embeddings(body, 5);
  });
  const Outcome outcome = ask(server, {"--price-in", "1000"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Dataset dataset = load_dataset(data());
  const auto texts = item_texts(dataset, "title: {title}; brand: {brand}; category: {categories}");
  const std::set<std::string> different(texts.begin() + 1, texts.end());
  EXPECT_EQ(asked, std::multiset<std::string>(different.begin(), different.end()));
  const json summary = note()["run"]["summary"];
  EXPECT_EQ(summary["answers"], different.size());
  EXPECT_EQ(summary["tokens_in"], 100 * server.requests());
  EXPECT_DOUBLE_EQ(summary["money"].get<double>(), 0.1 * static_cast<double>(server.requests()));

  const TextVectors vectors = load_text_vectors(out(), dataset);
  for (Id item = 1; item < dataset.items.rows(); ++item) {
    const std::vector<double> expected = vector_of(texts[static_cast<std::size_t>(item)], 5);
    double squares = 0;
    for (const double x : expected) squares += x * x;
    for (std::size_t k = 0; k < 5; ++k) {
      ASSERT_NEAR(vectors.of(item)[k], expected[k] / std::sqrt(squares), 1e-6);
    }
  }

  const std::string before = read_all(out());
  const auto requests = server.requests();
  const double seconds = summary["answer_seconds"];
  EXPECT_GT(seconds, 0);
  ASSERT_EQ(ask(server).status, 0);
  EXPECT_EQ(server.requests(), requests);
  EXPECT_EQ(read_all(out()), before);
  EXPECT_EQ(note()["run"]["summary"]["paid_tokens_in"], 0);
  EXPECT_NEAR(note()["run"]["summary"]["answer_seconds"].get<double>(), seconds, 1e-6 + 1e-3 * seconds)
      << "the cache keeps what the answers took";
}

TEST_F(LlmEmbed, AnInterruptedOneGoesOnWhereItStopped) {
  std::multiset<std::string> asked;
  bool stops = true;
  FakeLlmServer server([&](const std::string&, const std::string& body, int) {
    if (stops && asked.size() >= 64) {
      stops = false;
      std::raise(SIGINT);
      return FakeReply{FakeReply::Kind::hang, 200, "", "", 0};
    }
    for (const std::string& text : texts_of(body)) asked.insert(text);
    return embeddings(body, 5);
  });
  const Outcome stopped = ask(server);
  EXPECT_EQ(stopped.status, 130);
  EXPECT_THAT(stopped.out, HasSubstr("the same command goes on"));
  EXPECT_TRUE(nothing_is_written());
  ASSERT_EQ(ask(server).status, 0);
  EXPECT_EQ(asked.size(), std::set<std::string>(asked.begin(), asked.end()).size()) << "none twice";
  EXPECT_GT(note()["run"]["summary"]["cached"].get<int>(), 0);
}

TEST_F(LlmEmbed, AForecastAndABudgetAskNobody) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return embeddings(body, 5); });
  const Outcome forecast = ask(server, {"--forecast", "--price-in", "10"});
  ASSERT_EQ(forecast.status, 0) << forecast.err;
  EXPECT_THAT(forecast.out, AllOf(HasSubstr("different texts of items, 0 of them in the cache"),
                                  HasSubstr("tokens in and 0 out to pay")));
  EXPECT_THAT(ask(server, {"--budget-tokens", "10"}).err, HasSubstr("more than --budget-tokens 10"));
  EXPECT_THAT(ask(server, {"--budget-money", "1e-9", "--price-in", "10"}).err,
              HasSubstr("more than --budget-money 1e-09"));
  EXPECT_EQ(server.requests(), 0);
  EXPECT_TRUE(nothing_is_written());
  ASSERT_EQ(ask(server, {"--budget-tokens", "1000000"}).status, 0);
  EXPECT_EQ(ask(server, {"--budget-tokens", "1"}).status, 0) << "all of it is in the cache";
}

TEST_F(LlmEmbed, ServersThatChangeTheirWidthOrLeaveTextsOutAreRefused) {
  FakeLlmServer fewer(
      [](const std::string&, const std::string& body, int) { return embeddings(body, 5, /*left_out=*/1); });
  const Outcome short_of = ask(fewer);
  EXPECT_EQ(short_of.status, 1);
  EXPECT_THAT(short_of.err,
              AllOf(HasSubstr("texts have no vector: an answer that is not one vector for each of"),
                    HasSubstr("after 3 tries"), Not(HasSubstr("--max-bad"))));
  EXPECT_TRUE(nothing_is_written());

  int requests = 0;
  FakeLlmServer turning([&](const std::string&, const std::string& body, int) {
    return embeddings(body, ++requests <= 2 ? 5 : 6);  // of four
  });
  const Outcome outcome = ask(turning);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("vectors of 6 numbers where others have 5; name another --cache"));
  EXPECT_TRUE(nothing_is_written());
}

TEST_F(LlmEmbed, BadFlagsAreRefusedBeforeAnythingIsAsked) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return embeddings(body, 5); });
  const auto error = [&](const std::string& encoder, const std::vector<std::string>& more) {
    const Outcome outcome = run(words(encoder, more));
    EXPECT_NE(outcome.status, 0);
    return outcome.err;
  };
  EXPECT_THAT(error("tfidf", {"--url", server.url()}),
              HasSubstr("'--url' does not apply: --encoder tfidf has no use for it (openai has)"));
  EXPECT_THAT(error("openai", {"--width", "8"}), HasSubstr("'--width' does not apply"));
  EXPECT_THAT(error("file", {}),
              HasSubstr("the encoder file reads finished vectors; name one that makes them"));
  EXPECT_THAT(error("openia", {}), HasSubstr("did you mean 'openai'?"));
  EXPECT_THAT(error("tfidf", {"--template", "{name}"}), HasSubstr("has no field {name}"));
  EXPECT_THAT(error("tfidf", {"--template", "the same"}), HasSubstr("no item has a text by the template"));
  EXPECT_THAT(error("openai", {"--url", server.url()}), HasSubstr("give --model"));
  EXPECT_THAT(error("openai", {"--model", "fake"}), HasSubstr("the server's address must begin with"));
  EXPECT_EQ(server.requests(), 0);
  EXPECT_TRUE(nothing_is_written());

  std::ofstream(out()) << "mine\n";
  EXPECT_THAT(error("tfidf", {}), HasSubstr("was not made by this command"));
  EXPECT_EQ(read_all(out()), "mine\n");
  EXPECT_EQ(run(words("tfidf", {"--force"})).status, 0);
}

}  // namespace
}  // namespace sllmr
