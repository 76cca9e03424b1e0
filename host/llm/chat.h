// The wire format of OpenAI-compatible chat completions: what is sent and what comes back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/llm/answer.h"
#include "host/llm/prompt.h"

namespace sllmr {

struct ChatParameters {
  std::string model;
  double temperature = 0;
  int max_tokens = 0;                        // of an answer in text; 0: left to the server
  int top_logprobs = 20;                     // for the kinds that need them; OpenAI allows 20
  std::map<std::string, std::string> extra;  // more of the body, name to JSON: {"seed", "1"}
};

/// The body of a request. Throws Error for an extra parameter that is not JSON.
std::string chat_body(const ChatParameters& parameters, AnswerKind kind, const Prompt& prompt);

struct ChatAnswer {
  std::string text;
  std::vector<TokenLogprob> top;  // of the first token, where it was asked for
  std::int64_t tokens_in = 0, tokens_out = 0;
};

/// Reads the body of a reply. Nothing where it is not one of a chat completion: the server is at fault then,
/// not the model.
std::optional<ChatAnswer> read_chat_body(const std::string& body);

/// What the cache keeps of an answer: everything but the cost.
std::string to_cache_text(const ChatAnswer& answer);
/// The way back. Nothing where `text` is something else.
std::optional<ChatAnswer> from_cache_text(const std::string& text);

/// Scores of an answer, by position.
ReadAnswer read_answer(AnswerKind kind, const ChatAnswer& answer, std::size_t candidates);

/// The beginning of a text on one line, for messages.
std::string excerpt(const std::string& text, std::size_t length = 160);

}  // namespace sllmr
