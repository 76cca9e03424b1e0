// The wire format of OpenAI-compatible chat completions: what is sent and what comes back.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/ask/answer.h"
#include "host/ask/prompt.h"
#include "host/ask/redact.h"

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

/// Why an answer ends (finish_reason, or stop_reason and done_reason where there is none).
enum class Ending {
  whole,     // the model was done, or the server does not say
  cut_off,   // by the limit of tokens
  filtered,  // by a content filter
};

struct ChatAnswer {
  std::string text;               // of the content, its parts joined; parts that are thoughts are left out
  std::vector<TokenLogprob> top;  // of the answer's first token, where it was asked for
  std::string no_top;             // why there are none, as far as it is known
  Ending ending = Ending::whole;
  bool refused = false;  // the reply says so
  std::string refusal;   // what it says where it has no content; never read for scores
  std::int64_t tokens_in = 0, tokens_out = 0;
};

struct ChatReply {
  ChatAnswer answer;  // with a fault: its tokens alone
  std::string fault;  // why it is no reply of a chat completion: the server is at fault then, not the model
};

/// Reads a reply. Content: a string, null, parts. Log-probabilities: those of chat completions and those of
/// the older completions.
ChatReply read_chat_reply(const nlohmann::json& body);
/// The same from the body, and without the key: the client redacts each string of a body by itself, but a key
/// may be split across the parts of the content, and stand in names, which tokens may be. A body of more than
/// kMostReplyValues values is a fault.
ChatReply read_chat_body(const std::string& body, const Redactor& redactor = Redactor({}));

/// A number of tokens in a reply's `usage`; 0 for what is none: missing, negative, absurd, not whole.
std::int64_t token_count(const nlohmann::json& reply, const char* key);
/// Whether the error of a reply is one: some servers send an empty one, or 0, with every reply.
bool is_error(const nlohmann::json& error);
/// The message of a reply's error, which may be a text or an object.
std::string error_message(const nlohmann::json& error);

/// What the cache keeps of an answer: everything but the cost.
std::string to_cache_text(const ChatAnswer& answer);
/// The answer that to_cache_text() was given, without its cost. Nothing where `text` is something else.
std::optional<ChatAnswer> from_cache_text(const std::string& text);

/// What the model wrote where a text was asked for: without thoughts, and without blanks around it. Empty for
/// a refusal, for what a content filter stopped, and for fewer than 10 bytes.
std::string written_text(const ChatAnswer& answer);
/// Scores of an answer, by position.
ReadAnswer read_answer(AnswerKind kind, const ChatAnswer& answer, std::size_t candidates);
/// What to say of an answer that is not usable().
std::string why_unusable(AnswerKind kind, const ChatAnswer& answer, const ReadAnswer& read);

/// The beginning of a text on one line, for messages.
std::string excerpt(const std::string& text, std::size_t length = 160);

}  // namespace sllmr
