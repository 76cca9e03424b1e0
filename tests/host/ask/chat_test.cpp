#include "host/ask/chat.h"

#include <gmock/gmock.h>

#include <cmath>

#include "host/base/json_text.h"
#include "tests/support/fake_llm_server.h"

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A reply whose choice is `choice`, with `more` beside it.
ChatReply reply(const std::string& choice, const std::string& more = "") {
  return read_chat_body(R"({"choices": [)" + choice + "]" + more + "}");
}
std::string text_of(const std::string& content, const std::string& more = "") {
  const ChatReply read = reply(R"({"message": {"content": )" + content + more + "}}");
  EXPECT_EQ(read.fault, "") << content;
  return read.answer.text;
}

TEST(Chat, ContentInAllItsForms) {
  EXPECT_EQ(text_of(R"("text")"), "text");
  EXPECT_EQ(text_of("null"), "");
  EXPECT_EQ(text_of(R"([{"type": "text", "text": "te"}, {"type": "output_text", "text": "xt"}])"), "text");
  EXPECT_EQ(text_of(R"(["te", {"text": "xt"}])"), "text");
  EXPECT_EQ(text_of(R"([{"type": "thinking", "thinking": [{"type": "text", "text": "draft"}]},
                        {"type": "reasoning", "text": "draft"}, {"type": "text", "text": "text"}])"),
            "text");
  EXPECT_EQ(text_of(R"({"type": "text", "text": {"value": "text"}})"), "text");
  EXPECT_EQ(text_of(R"([{"text": "draft", "thought": true}, {"text": "text", "thought": false}])"), "text");
  EXPECT_EQ(text_of("[1, null, {}]"), "");
  EXPECT_EQ(text_of("null", R"(, "reasoning_content": "draft", "reasoning": "draft")"), "");
}

TEST(Chat, TheKeyIsTakenOutOfWhatIsJoined) {
  const Redactor redactor("sk-test-0123456789");
  const auto read = [&](const std::string& choice) {
    return read_chat_body(R"({"choices": [)" + choice + "]}", redactor).answer;
  };
  // Each part is shorter than any piece that is looked for; one holds an escape that ends in the next.
  EXPECT_EQ(
      read(R"({"message": {"content": [{"type": "text", "text": "It is sk-te"}, "st-01", {"text": "2345"},
                     {"type": "thinking", "text": "x"}, "6789."]}})")
          .text,
      "It is [key].");
  EXPECT_EQ(read(R"({"message": {"content": ["sk-te%", "73t-0", "12345", "6789"]}})").text, "[key]");
  // Names stay in a body, but tokens may be names.
  const ChatAnswer named = read(R"({"message": {"content": "A"}, "logprobs": {"tokens": ["A"],
                                    "top_logprobs": [{"sk-test-0123456789": -1.0, "A": -0.5}]}})");
  ASSERT_EQ(named.top.size(), 2U);
  for (const auto& [token, logprob] : named.top) EXPECT_EQ(token, logprob == -1.0 ? "[key]" : "A");
  EXPECT_THAT(read(R"({"message": {"content": "A"}, "logprobs": {"sk-test-0123456789": 1}})").no_top,
              HasSubstr("[key]"));
}

TEST(Chat, ARepliesValuesAreBounded) {
  const auto body = [](std::size_t objects) {
    std::string text = R"({"choices": [{"message": {"content": "x"}}], "more": [{})";
    for (std::size_t k = 1; k < objects; ++k) text += ",{}";
    return text + "]}";
  };
  EXPECT_EQ(read_chat_body(body(kMostReplyValues / 2 - 10)).answer.text, "x");
  EXPECT_THAT(read_chat_body(body(kMostReplyValues / 2 + 10)).fault, HasSubstr("than any answer needs"));
}

TEST(Chat, ErrorsInsteadOfAnAnswerAreTheServersFault) {
  for (const char* error : {R"({"message": "provider is down"})", R"("provider is down")"}) {
    EXPECT_THAT(reply(R"({"message": {"content": "x"}, "error": )" + std::string(error) + "}").fault,
                HasSubstr("provider is down"));
    EXPECT_THAT(reply(R"({"message": {"content": "x"}})", R"(, "error": )" + std::string(error)).fault,
                HasSubstr("provider is down"));
  }
  EXPECT_THAT(read_chat_body(R"({"error": {"message": "overloaded"}})").fault, HasSubstr("overloaded"));
  EXPECT_THAT(reply(R"({"finish_reason": "error", "message": {"content": "x"}})").fault, HasSubstr("error"));
  for (const char* reason : {"failed", "timeout"}) {
    EXPECT_THAT(
        reply(R"({"finish_reason": ")" + std::string(reason) + R"(", "message": {"content": "x"}})").fault,
        HasSubstr(reason));
  }
  EXPECT_THAT(reply(R"({"message": {"content": "x", "error": {"message": "down"}}})").fault,
              HasSubstr("down"));
  for (const char* none : {"null", "0", "false", "\"\"", "{}"}) {
    const std::string error = R"(, "error": )" + std::string(none);
    EXPECT_EQ(reply(R"({"message": {"content": "x")" + error + "}" + error + "}", error).fault, "") << none;
  }
  for (const std::string& body :
       {std::string("no JSON"), std::string("[]"), std::string(R"({"choices": []})"),
        std::string(R"({"choices": [{"text": "x"}]})"), std::string(100'000, '['),
        R"({"choices": [{"message": {"content": )" + std::string(100'000, '[')}) {
    EXPECT_NE(read_chat_body(body).fault, "") << body.substr(0, 40);
  }
}

TEST(Chat, EndingsAreReadAndKept) {
  const auto ending = [](const std::string& reason) {
    const ChatAnswer answer =
        reply(R"({"finish_reason": )" + reason + R"(, "message": {"content": "x"}})").answer;
    EXPECT_EQ(from_cache_text(to_cache_text(answer))->ending, answer.ending);
    return answer.ending;
  };
  EXPECT_EQ(ending(R"("stop")"), Ending::whole);
  EXPECT_EQ(ending("null"), Ending::whole);
  EXPECT_EQ(ending(R"("length")"), Ending::cut_off);
  EXPECT_EQ(ending(R"("MAX_TOKENS")"), Ending::cut_off);
  EXPECT_EQ(ending(R"("content_filter")"), Ending::filtered);
  EXPECT_EQ(ending(R"("max_output_tokens")"), Ending::cut_off);
  EXPECT_EQ(ending(R"("token_limit")"), Ending::cut_off);
  EXPECT_EQ(ending(R"(null, "stop_reason": "max_tokens")"), Ending::cut_off);
  EXPECT_EQ(ending(R"(null, "done_reason": "length")"), Ending::cut_off);
  EXPECT_EQ(ending(R"("stop", "stop_reason": "length")"), Ending::whole);
  const ChatAnswer refused = reply(R"({"message": {"content": null, "refusal": "I will not."}})").answer;
  EXPECT_TRUE(refused.refused);
  EXPECT_THAT(why_unusable(AnswerKind::scores, refused, read_answer(AnswerKind::scores, refused, 3)),
              testing::AllOf(HasSubstr("0 of 3"), HasSubstr("refused"), HasSubstr("I will not.")));
  const ChatAnswer scored =
      reply(R"({"message": {"content": null, "refusal": "Not A: 0.1, B: 0.2"}})").answer;
  EXPECT_EQ(read_answer(AnswerKind::scores, scored, 2).read(), 0);
  EXPECT_EQ(from_cache_text(to_cache_text(scored))->refusal, scored.refusal);
  // The text's end is a cut: the last number is none.
  const ChatAnswer cut =
      reply(R"({"finish_reason": "length", "message": {"content": "A: 0.1\nB: 0"}})").answer;
  EXPECT_TRUE(std::isnan(read_answer(AnswerKind::scores, cut, 2).scores[1]));
}

TEST(Chat, OfSeveralChoicesTheOneOfIndexZeroCounts) {
  const auto choice = [](const std::string& text, const std::string& index) {
    return R"({"message": {"content": ")" + text + R"("}, "index": )" + index + "}";
  };
  EXPECT_EQ(reply(choice("b", "1") + "," + choice("a", "0")).answer.text, "a");
  EXPECT_EQ(reply(choice("a", "null") + "," + choice("b", "null")).answer.text, "a");
}

TEST(Chat, TokensThatNoReplyHasAreNone) {
  const auto tokens = [](const std::string& count) {
    const ChatReply read = reply(R"({"message": {"content": "x"}})",
                                 R"(, "usage": {"prompt_tokens": )" + count + R"(, "completion_tokens": 7})");
    EXPECT_EQ(read.answer.tokens_out, 7);
    return read.answer.tokens_in;
  };
  EXPECT_EQ(tokens("100"), 100);
  EXPECT_EQ(tokens("1099511627776"), std::int64_t{1} << 40);
  for (const char* count :
       {"1099511627777", "18446744073709551615", "-5", "1.5", "1e30", "\"100\"", "null", "[1]"}) {
    EXPECT_EQ(tokens(count), 0) << count;
  }
}

ChatAnswer with_logprobs(const std::string& logprobs) {
  return read_chat_body(test::chat_completion("A", logprobs)).answer;
}

TEST(Chat, BothFormatsOfLogProbabilitiesAreTheSame) {
  const std::string modern = R"({"content": [{"token": "A", "logprob": -0.2, "top_logprobs": [
      {"token": "A", "logprob": -0.2}, {"token": "B", "logprob": -2.5}]}]})";
  const auto expected = ElementsAre(TokenLogprob("A", -0.2), TokenLogprob("B", -2.5));
  EXPECT_THAT(with_logprobs(modern).top, expected);
  EXPECT_THAT(with_logprobs(R"({"tokens": ["A"], "token_logprobs": [-0.2], "text_offset": [0],
                                "top_logprobs": [{"A": -0.2, "B": -2.5}]})")
                  .top,
              expected);
  EXPECT_THAT(with_logprobs(R"({"content": [{"token": "A", "top_logprobs": {"A": -0.2, "B": -2.5}}]})").top,
              expected);
  EXPECT_THAT(with_logprobs(R"({"tokens": ["A"], "top_logprobs": [[["A", -0.2], ["B", -2.5]]]})").top,
              expected);
}

TEST(Chat, TheChosenTokensLogProbabilityAloneIsNoAnswer) {
  for (const char* alone : {
           R"({"content": [{"token": "A", "logprob": -0.2, "top_logprobs": []}]})",
           R"({"content": [{"token": "A", "logprob": -0.2}]})",
           R"({"tokens": ["A"], "token_logprobs": [-0.2], "top_logprobs": null})",
           R"({"tokens": ["A"], "token_logprobs": [-0.2], "top_logprobs": [{}]})",
       }) {
    const ChatAnswer answer = with_logprobs(alone);
    for (const AnswerKind kind : {AnswerKind::choice, AnswerKind::yes_no}) {
      const ReadAnswer read = read_answer(kind, answer, kind == AnswerKind::choice ? 3 : 1);
      EXPECT_FALSE(read.usable()) << alone;
      EXPECT_THAT(why_unusable(kind, answer, read), HasSubstr("only the chosen token's")) << alone;
    }
  }
}

TEST(Chat, TheTokenThatCountsIsTheFirstOfTheAnswer) {
  const auto entry = [](const std::string& token, const std::string& top) {
    return R"({"token": ")" + token + R"(", "logprob": -1, "top_logprobs": [{"token": ")" + top +
           R"(", "logprob": -1}]})";
  };
  EXPECT_THAT(with_logprobs(R"({"content": [)" + entry("\\n", "B") + "," + entry(" A", "A") + "]}").top,
              ElementsAre(TokenLogprob("A", -1)));
  EXPECT_THAT(with_logprobs(R"({"content": [)" + entry("<think>", "B") + "," + entry("\\n", "B") + "," +
                            entry("</think>", "B") + "," + entry("A", "A") + "]}")
                  .top,
              ElementsAre(TokenLogprob("A", -1)));
  EXPECT_THAT(with_logprobs(R"({"content": [)" + entry("\\n", "B") + "]}").top,
              ElementsAre(TokenLogprob("B", -1)))
      << "nothing but a blank";
  for (const char* thought : {"<think>", "<", "<|channel|>", "[THINK]"}) {
    const ChatAnswer answer = with_logprobs(R"({"content": [)" + entry(thought, "A") + "]}");
    EXPECT_TRUE(answer.top.empty()) << thought;
    EXPECT_THAT(answer.no_top, HasSubstr("thought"));
  }
  EXPECT_THAT(with_logprobs("null").no_top, HasSubstr("sent no log-probabilities"));
  EXPECT_THAT(with_logprobs(R"([{"A": 0.3}])").no_top, HasSubstr("form that is not known"));
  EXPECT_THAT(with_logprobs(R"({"probs": [0.3]})").no_top, HasSubstr("form that is not known"));
}

TEST(Chat, DamagedCacheTextsAreNone) {
  for (const char* text : {"", "{", "{}", R"({"text": 1})", R"({"text": "x", "top": [1]})", "[]"}) {
    EXPECT_FALSE(from_cache_text(text)) << text;
  }
  EXPECT_FALSE(from_cache_text(std::string(100'000, '[')));
}

}  // namespace
}  // namespace sllmr
