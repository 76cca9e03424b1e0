// `sllmr llm ask`, `llm embed --texts` and the runs that read what they make, against a server of the test's.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "host/ask/prompt.h"
#include "host/data/split.h"
#include "host/text/written_texts.h"
#include "host/text/written_vectors.h"
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

std::string prompt_of_body(const std::string& body) {
  return json::parse(body)["messages"].back()["content"].get<std::string>();
}

/// A text that repeats the prompt's words, so that the stand-in for an encoder knows some.
FakeReply written(const std::string& body, const std::string& more = "") {
  const std::string text = json(more + prompt_of_body(body)).dump();
  return {FakeReply::Kind::answer, 200, "", test::chat_completion(text.substr(1, text.size() - 2)), 0};
}

class LlmAsk : public CliTest {
 protected:
  std::string out(const std::string& name = "t.jsonl") const { return folder_ / name; }
  Outcome ask(const FakeLlmServer& server, const std::string& prompt, std::vector<std::string> more = {},
              const std::string& name = "t.jsonl") const {
    more.insert(more.begin(),
                {"llm", "ask", "--data", data(), "--template", prompt, "--url", server.url(), "--model",
                 "fake", "--retry-delay", "0.002", "--tries", "4", "--in-flight", "1", "--out", out(name)});
    return run(more);
  }
  Outcome embed(const std::string& texts, const std::string& to, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"llm", "embed", "--data", data(), "--encoder", "tfidf", "--width", "8",
                               "--texts", out(texts), "--out", out(to)});
    return run(more);
  }
  Outcome train(const std::string& folder, std::vector<std::string> more) const {
    more.insert(more.begin(),
                {"train", "run_dir=" + out(folder), "data.path=" + data(), "device=cpu", "threads=1",
                 "model.name=deepfm", "model.width=8", "model.hidden=[16, 8]", "train.loss=bce",
                 "train.mode=exact", "train.optimizer=adam", "train.lr=0.01", "train.epochs=1",
                 "train.batch_size=256", "eval.protocol=ctr", "llm.vector_width=8"});
    return run(more);
  }
  json note(const std::string& name) const { return json::parse(read_all(out(name + ".json"))); }
  json summary_of(const std::string& folder) const {
    return json::parse(read_all(out(folder) + "/summary.json"));
  }
  bool nothing_is_written() const {
    return !std::filesystem::exists(out()) && !std::filesystem::exists(out() + ".json");
  }
};

TEST_F(LlmAsk, HasATextWrittenOfEveryItemAndPaysOnce) {
  FakeLlmServer server([](const std::string& head, const std::string& body, int) {
    EXPECT_THAT(head, HasSubstr("POST /v1/chat/completions"));
    EXPECT_EQ(json::parse(body)["max_tokens"], 256);
    return written(body);
  });
  const Outcome outcome = ask(server, "kar_item", {"--price-in", "1000", "--price-out", "2000"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Dataset dataset = load_dataset(data());
  const WrittenTexts texts = load_written_texts(out(), dataset);
  EXPECT_EQ(texts.about, Subject::item);
  ASSERT_EQ(std::ssize(texts.texts), dataset.items.count());
  for (const auto& [subject, text] : texts.texts)
    ASSERT_THAT(text, HasSubstr(dataset.titles[static_cast<std::size_t>(subject.item)]));
  const json run = note("t.jsonl")["run"];
  EXPECT_EQ(note("t.jsonl")["model"], "fake");
  EXPECT_EQ(note("t.jsonl")["prompt"], "kar_item");
  EXPECT_EQ(run["server"], server.url());
  EXPECT_EQ(run["template_hash"].get<std::string>().size(), 32U);
  EXPECT_EQ(run["summary"]["tokens_in"], 100 * dataset.items.count());
  EXPECT_EQ(run["summary"]["tokens_out"], 50 * dataset.items.count());
  EXPECT_DOUBLE_EQ(run["summary"]["money"].get<double>(), 0.2 * dataset.items.count());
  const std::string before = read_all(out());
  const auto requests = server.requests();
  ASSERT_EQ(ask(server, "kar_item").status, 0);
  EXPECT_EQ(server.requests(), requests);
  EXPECT_EQ(read_all(out()), before);
}

TEST_F(LlmAsk, EqualPromptsArePaidForOnceAlsoInFlight) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return written(body); });
  const std::vector<std::string> words{"--history", "1", "--price-in", "1000"};
  std::vector<std::string> forecast = words;
  forecast.emplace_back("--forecast");
  const Outcome foreseen = ask(server, "kar_user", forecast);
  ASSERT_EQ(foreseen.status, 0) << foreseen.err;
  ASSERT_EQ(ask(server, "kar_user", words).status, 0);
  const json summary = note("t.jsonl")["run"]["summary"];
  const auto requests = static_cast<std::int64_t>(server.requests());
  EXPECT_LT(requests, summary["answers"].get<std::int64_t>()) << "no two users began with the same item";
  EXPECT_EQ(summary["tokens_in"], 100 * requests);
  EXPECT_EQ(summary["paid_tokens_in"], 100 * requests);
  EXPECT_THAT(foreseen.out + foreseen.err, HasSubstr(std::to_string(requests) + "  "));
  // The same bill from the cache.
  ASSERT_EQ(ask(server, "kar_user", words).status, 0);
  EXPECT_EQ(static_cast<std::int64_t>(server.requests()), requests);
  EXPECT_EQ(note("t.jsonl")["run"]["summary"]["tokens_in"], 100 * requests);
}

TEST_F(LlmAsk, AnInterruptedOneGoesOnWhereItStopped) {
  std::multiset<std::string> answered;
  bool stops = true;
  FakeLlmServer server([&](const std::string&, const std::string& body, int) {
    if (stops && answered.size() >= 40) {
      stops = false;
      std::raise(SIGINT);
      return FakeReply{FakeReply::Kind::hang, 200, "", "", 0};
    }
    answered.insert(body);
    return written(body);
  });
  const Outcome stopped = ask(server, "kar_user");
  EXPECT_EQ(stopped.status, 130);
  EXPECT_THAT(stopped.out, HasSubstr("the same command goes on"));
  EXPECT_TRUE(nothing_is_written());
  ASSERT_EQ(ask(server, "kar_user").status, 0);
  EXPECT_GE(note("t.jsonl")["run"]["summary"]["cached"].get<int>(), 39);
  EXPECT_LE(answered.size(), std::set<std::string>(answered.begin(), answered.end()).size() + 1)
      << "what was under way at most is asked twice";
}

TEST_F(LlmAsk, UsersShowTheirFirstInteractionsAlone) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return written(body); });
  const Outcome outcome = ask(server, "kar_user", {"--history", "2", "--users", "50"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("training rows (ctr) come after what their user's text knows"));
  const Dataset dataset = load_dataset(data());
  const Split split = leave_one_out(dataset);
  const WrittenTexts texts = load_written_texts(out(), dataset);
  ASSERT_EQ(texts.texts.size(), 50U);
  for (const auto& [subject, text] : texts.texts) {
    const auto train = split.train_items(subject.user);
    ASSERT_EQ(subject.position, std::min<std::ptrdiff_t>(2, std::ssize(train)));
    std::string shown;
    for (const Id item : train.first(static_cast<std::size_t>(subject.position)))
      shown += "- " + item_text(dataset, item) + "\n";
    ASSERT_THAT(text, HasSubstr("oldest first:\n" + shown + "\nDescribe"));
  }
}

TEST_F(LlmAsk, BadAnswersAreAskedAgainCountedAndTooManyStopTheRun) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) {
    const bool mute = std::hash<std::string>()(body) % 10 == 0;
    return mute ? FakeReply{FakeReply::Kind::answer, 200, "", test::chat_completion("No."), 0}
                : written(body);
  });
  const Outcome outcome = ask(server, "kar_item", {"--max-bad", "0.5"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json summary = note("t.jsonl")["run"]["summary"];
  const auto bad = summary["bad"].get<std::int64_t>();
  EXPECT_GT(bad, 0);
  EXPECT_EQ(server.requests(), summary["answers"].get<std::int64_t>() + 2 * bad);
  EXPECT_EQ(std::ssize(load_written_texts(out(), load_dataset(data())).texts),
            summary["answers"].get<std::int64_t>() - bad);
  FakeLlmServer silent([](const std::string&, const std::string&, int) {
    return FakeReply{FakeReply::Kind::answer, 200, "", test::chat_completion(""), 0};
  });
  const Outcome stopped = ask(silent, "kar_item", {}, "none.jsonl");
  EXPECT_EQ(stopped.status, 1);
  EXPECT_THAT(stopped.err, AllOf(HasSubstr("answers are bad"), HasSubstr("the answer is empty")));
  EXPECT_FALSE(std::filesystem::exists(out("none.jsonl")));
}

TEST_F(LlmAsk, BadFlagsForecastsAndBudgetsAskNobody) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return written(body); });
  const Outcome forecast = ask(server, "llmcf", {"--forecast", "--samples", "3", "--temperature", "0.6"});
  ASSERT_EQ(forecast.status, 0) << forecast.err;
  EXPECT_THAT(forecast.out, HasSubstr("prompts about"));
  const auto error = [&](const std::string& prompt, const std::vector<std::string>& more) {
    const Outcome outcome = ask(server, prompt, more);
    EXPECT_NE(outcome.status, 0);
    return outcome.err;
  };
  EXPECT_THAT(error("scores", {}), HasSubstr("asks for scores; see sllmr llm score"));
  EXPECT_THAT(error("kar_itme", {}), HasSubstr("did you mean 'kar_item'?"));
  EXPECT_THAT(error("kar_item", {"--history", "3"}),
              HasSubstr("'--history' does not apply: the template 'kar_item' asks for texts about items"));
  EXPECT_THAT(error("llmcf", {"--users", "3"}), HasSubstr("'--users' does not apply"));
  EXPECT_THAT(error("kar_user", {"--share", "0.3"}), HasSubstr("'--share' does not apply"));
  EXPECT_THAT(error("llmcf", {"--samples", "3"}), HasSubstr("--temperature above 0"));
  EXPECT_THAT(error("kar_item", {"--budget-tokens", "10"}), HasSubstr("more than --budget-tokens 10"));
  EXPECT_THAT(error("kar_item", {"--budget-money", "1e-9", "--price-out", "1"}),
              HasSubstr("every item needs"));
  EXPECT_THAT(error("kar_item", {"--param", "seed"}), HasSubstr("expected NAME=JSON"));
  EXPECT_THAT(ask(server, "kar_item", {}, "none/t.jsonl").err, HasSubstr("there is no folder"));
  EXPECT_EQ(server.requests(), 0);
  EXPECT_TRUE(nothing_is_written());
  std::ofstream(out()) << "mine\n";
  EXPECT_THAT(error("kar_item", {}), HasSubstr("was not made by this command"));
  EXPECT_EQ(server.requests(), 0);
}

/// From the prompts to a run: KAR with an LLM's texts, and what it cost.
TEST_F(LlmAsk, KarReadsTextsOfItemsAndUsers) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return written(body); });
  ASSERT_EQ(ask(server, "kar_item", {"--price-in", "10"}, "i.jsonl").status, 0);
  ASSERT_EQ(ask(server, "kar_user", {"--history", "2", "--price-in", "10"}, "u.jsonl").status, 0);
  const Outcome items = embed("i.jsonl", "i.safetensors"), users = embed("u.jsonl", "u.safetensors");
  ASSERT_EQ(items.status, 0) << items.err;
  ASSERT_EQ(users.status, 0) << users.err;
  EXPECT_THAT(users.out, HasSubstr("users, vectors of 8 numbers"));
  const json of_items = note("i.jsonl")["run"]["summary"], of_users = note("u.jsonl")["run"]["summary"];
  EXPECT_EQ(note("i.safetensors")["run"]["texts"]["summary"], of_items);
  EXPECT_EQ(note("i.safetensors")["prompt"], "kar_item");

  const std::vector<std::string> kar = {"method=kar", "llm.encoder=file",
                                        "llm.vectors=" + out("i.safetensors"),
                                        "kar.user_vectors=" + out("u.safetensors")};
  std::vector<std::string> without = kar;
  without.pop_back();
  // Of an encoder, llm.vector_width says nothing of finished vectors.
  const auto of_file = [&](std::string folder, std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"train", "run_dir=" + out(folder), "data.path=" + data(), "device=cpu", "threads=1",
                  "model.name=deepfm", "model.width=8", "model.hidden=[16, 8]", "train.loss=bce",
                  "train.mode=exact", "train.optimizer=adam", "train.lr=0.01", "train.epochs=1",
                  "train.batch_size=256", "eval.protocol=ctr"});
    return run(words);
  };
  const Outcome trained = of_file("kar", kar), text = of_file("text", without);
  ASSERT_EQ(trained.status, 0) << trained.err;
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_NE(summary_of("kar")["test"], summary_of("text")["test"]) << "the users' vectors say nothing";
  EXPECT_NE(summary_of("kar")["vectors_hash"], summary_of("text")["vectors_hash"]);
  const json cost = summary_of("kar")["guidance_cost"];
  EXPECT_EQ(cost["tokens_in"], of_items["tokens_in"].get<int>() + of_users["tokens_in"].get<int>());
  EXPECT_EQ(cost["tokens_out"], of_items["tokens_out"].get<int>() + of_users["tokens_out"].get<int>());
  EXPECT_NEAR(cost["money"].get<double>(), of_items["money"].get<double>() + of_users["money"].get<double>(),
              1e-12);
  EXPECT_EQ(summary_of("text")["guidance_cost"]["tokens_in"], of_items["tokens_in"]);

  // A stored run is evaluated with the file, and not with another under its name.
  ASSERT_EQ(run({"eval", out("kar")}).status, 0);
  ASSERT_EQ(ask(server, "kar_user", {"--history", "1"}, "u.jsonl").status, 0);
  ASSERT_EQ(embed("u.jsonl", "u.safetensors").status, 0);
  const Outcome changed = run({"eval", out("kar")});
  EXPECT_NE(changed.status, 0);
  EXPECT_THAT(changed.err, HasSubstr(out("u.safetensors")));
}

TEST_F(LlmAsk, WholeHistoriesAreRefusedUnlessALeakIsAllowed) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return written(body); });
  ASSERT_EQ(ask(server, "kar_user", {"--history", "1000"}).status, 0);
  ASSERT_EQ(embed("t.jsonl", "u.safetensors").status, 0);
  const std::string users = "kar.user_vectors=" + out("u.safetensors");
  const Outcome refused = train("leak", {"method=kar", users});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("kar.user_vectors=" + out("u.safetensors")),
                                 HasSubstr("--history"), HasSubstr("llm.allow_leak=true")));
  EXPECT_FALSE(std::filesystem::exists(out("leak")));
  const Outcome allowed = train("leak", {"method=kar", users, "llm.allow_leak=true"});
  EXPECT_EQ(allowed.status, 0) << allowed.err;
  EXPECT_THAT(train("none", {"method=kar", "llm.allow_leak=true"}).err, HasSubstr("'llm.allow_leak'"))
      << "without such texts there is nothing to allow";
}

/// From the prompts to a run: LLM-CF with chains of thought, the best of three samples.
TEST_F(LlmAsk, LlmcfReadsChainsOfItsExamples) {
  int requests = 0;
  FakeLlmServer server([&](const std::string&, const std::string& body, int) {
    EXPECT_EQ(json::parse(body)["temperature"], 0.6);
    return written(body, "Sample " + std::to_string(requests++) + ". ");
  });
  const Outcome asked = ask(server, "llmcf", {"--samples", "3", "--temperature", "0.6", "--share", "0.2"});
  ASSERT_EQ(asked.status, 0) << asked.err;
  const auto texts = load_written_texts(out(), load_dataset(data())).texts;
  const auto n = std::ssize(texts);
  EXPECT_EQ(n % 3, 0);
  EXPECT_TRUE(requests <= n && requests > n - 30) << "but for examples of the same titles, each is asked for";
  EXPECT_EQ(texts[0].subject, texts[2].subject);
  EXPECT_NE(texts[0].text, texts[2].text);
  const Outcome embedded = embed("t.jsonl", "c.safetensors");
  ASSERT_EQ(embedded.status, 0) << embedded.err;
  EXPECT_THAT(embedded.out, HasSubstr(std::to_string(n / 3) + "  have the best of several samples"));

  const std::string chains = "llmcf.chains=" + out("c.safetensors");
  const Outcome trained = train("llmcf", {"method=llmcf", chains, "llmcf.share=0.2"});
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_EQ(summary_of("llmcf")["guidance_cost"]["tokens_in"], 100 * requests);
  EXPECT_THAT(train("no", {"method=llmcf", chains, "llmcf.share=0.1"}).err,
              AllOf(HasSubstr("llmcf.share=0.2 draws"), HasSubstr("the run has llmcf.share=0.1"),
                    HasSubstr("sllmr llm ask --share 0.1 --seed 1")));
  EXPECT_THAT(train("no", {"method=llmcf", chains, "llmcf.share=0.2", "seed=2"}).err,
              HasSubstr("llmcf.pool_seed=1 draws, where the run has llmcf.pool_seed=2"));
  // A table looks at them before its first run.
  const Outcome table =
      run({"compare", "experiments/recipes/ctr_llmcf.toml", "data.path=" + data(), "model.name=deepfm",
           "llm.encoder=tfidf", "llm.vector_width=8", "device=cpu", "threads=1", "--methods", "none,llmcf",
           "--seeds", "1", "--out", out("table"), chains, "llmcf.share=0.1"});
  EXPECT_THAT(table.err, HasSubstr("llmcf.share=0.2 draws"));
  EXPECT_FALSE(std::filesystem::exists(out("table")));
  EXPECT_THAT(train("no", {"method=llmcf", "llmcf.share=0.2"}).err,
              HasSubstr("method=llmcf needs llmcf.chains"));
  EXPECT_THAT(train("no", {"method=llmcf_text", chains}).err, HasSubstr("see method=llmcf"));
  EXPECT_FALSE(std::filesystem::exists(out("no")));
}

/// By an encoder behind a server: its vectors, its bill beside that of the writing, and nothing asked twice.
TEST_F(LlmAsk, AnEncodersServerIsAskedForTheTextsAndWhatSamplesAreComparedWith) {
  std::multiset<std::string> embedded;
  int samples = 0;
  FakeLlmServer server([&](const std::string& head, const std::string& body, int) {
    if (head.find("/chat/completions") != head.npos)
      return written(body, "Sample " + std::to_string(samples++) + ". ");
    json reply = {{"data", json::array()}, {"usage", {{"prompt_tokens", 7}}}};
    const json request = json::parse(body);
    for (const json& input : request["input"]) {
      const auto text = input.get<std::string>();
      embedded.insert(text);
      // Every second sample is all that it is compared with.
      const bool best = !text.starts_with("Sample") || std::stoi(text.substr(7)) % 2 == 1;
      json entry = json::object();
      entry["embedding"] = {3, 4, best ? 0 : 1};
      reply["data"].push_back(entry);
    }
    return FakeReply{FakeReply::Kind::answer, 200, "", reply.dump(), 0};
  });
  ASSERT_EQ(ask(server, "llmcf", {"--samples", "2", "--temperature", "1", "--share", "0.02"}).status, 0);
  const auto embed_by_server = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"llm",     "embed",      "--data",     data(),    "--encoder",
                                      "openai",  "--url",      server.url(), "--model", "enc",
                                      "--texts", out(),        "--tries",    "2",       "--retry-delay",
                                      "0.002",   "--price-in", "5",          "--out",   out("c.safetensors")};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const Outcome forecast = embed_by_server({"--forecast"});
  EXPECT_EQ(forecast.status, 0) << forecast.err;
  EXPECT_THAT(forecast.out, HasSubstr("different texts about examples, 0 of them in the cache"));
  EXPECT_THAT(embed_by_server({"--budget-tokens", "1"}).err, HasSubstr("more than --budget-tokens 1"));
  EXPECT_TRUE(embedded.empty());
  const Outcome outcome = embed_by_server({});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(embedded.size(), std::set<std::string>(embedded.begin(), embedded.end()).size());
  const Dataset dataset = load_dataset(data());
  const WrittenVectors vectors = load_written_vectors(out("c.safetensors"), Subject::example, dataset);
  EXPECT_EQ(2 * std::ssize(vectors.subjects), std::ssize(load_written_texts(out(), dataset).texts));
  EXPECT_EQ(vectors.width, 3);
  for (std::size_t k = 0; k < vectors.subjects.size(); ++k) {
    ASSERT_FLOAT_EQ(vectors.values[3 * k + 1], 0.8F) << k;
    ASSERT_EQ(vectors.values[3 * k + 2], 0) << k;
  }
  const json run = note("c.safetensors")["run"];
  EXPECT_EQ(run["summary"]["answers"], embedded.size());
  EXPECT_EQ(run["texts"]["summary"], note("t.jsonl")["run"]["summary"]);
  const std::string before = read_all(out("c.safetensors"));
  const auto requests = server.requests();
  ASSERT_EQ(embed_by_server({}).status, 0);
  EXPECT_EQ(server.requests(), requests);
  EXPECT_EQ(read_all(out("c.safetensors")), before);
}

TEST_F(LlmAsk, TextsOfOtherDataAreNotEmbedded) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) { return written(body); });
  ASSERT_EQ(ask(server, "kar_user", {"--history", "1"}).status, 0);
  json changed = note("t.jsonl");
  changed["data"]["hash"] = "0000000000000001";
  std::ofstream(out("t.jsonl.json")) << changed;
  const Outcome refused = embed("t.jsonl", "u.safetensors");
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.err, HasSubstr("other interactions or item texts than when the texts were written"));
  EXPECT_THAT(embed("t.jsonl", "u.safetensors", {"--template", "{title}"}).err,
              HasSubstr("'--template' does not apply"));
  EXPECT_THAT(embed("nothing.jsonl", "u.safetensors").err, HasSubstr("nothing.jsonl"));
}

}  // namespace
}  // namespace sllmr
