#include "host/ask/chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/ask/thought.h"
#include "host/base/json_text.h"
#include "host/base/lower_case.h"
#include "host/base/trim.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;  // of one reply
constexpr std::size_t kShortestText = 10;                    // bytes, as LLM-CF's release has it

const json& member(const json& object, const char* key) {
  static const json none;
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

bool is_text(const json& value) {
  return value.is_string() && !value.get_ref<const std::string&>().empty();
}

/// Content is a text, null, or parts: {"type": "text", "text": ...}, texts, and thoughts, which are left out.
std::string content_text(const json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (content.is_array()) {
    for (const json& part : content) text += content_text(part);
  } else if (content.is_object()) {
    const json& type = member(content, "type");
    if (!type.is_null() && type != "text" && type != "output_text") return text;
    if (member(content, "thought") == true) return text;
    const json& value = member(content, "text");
    text = content_text(value.is_object() ? member(value, "value") : value);
  }
  return text;
}

void add_logprob(std::vector<TokenLogprob>& top, const std::string& token, const json& logprob) {
  if (logprob.is_number()) top.emplace_back(token, logprob.get<double>());
}

/// The likeliest tokens at one position: [{"token": ..., "logprob": ...}], [[token, logprob]] or
/// {token: logprob}.
std::vector<TokenLogprob> top_tokens(const json& listed) {
  std::vector<TokenLogprob> top;
  for (const auto& [key, entry] : listed.items()) {
    if (listed.is_object()) add_logprob(top, key, entry);
    const json& token = member(entry, "token");
    if (listed.is_array() && token.is_string())
      add_logprob(top, token.get<std::string>(), member(entry, "logprob"));
    if (listed.is_array() && entry.is_array() && entry.size() == 2 && entry[0].is_string())
      add_logprob(top, entry[0].get<std::string>(), entry[1]);
  }
  return top;
}

/// Whether nothing but blanks is in the token, in the spellings of common vocabularies too.
bool is_blank(std::string_view token) {
  for (const std::string_view blank : {"\xE2\x96\x81", "\xC4\xA0", "\xC4\x8A", " ", "\n", "\t", "\r"}) {
    while (token.starts_with(blank)) token.remove_prefix(blank.size());
  }
  return token.empty();
}

/// Index of the first token that is the answer's: no blank, no thought. Without any that is no blank, 0.
std::optional<std::size_t> first_of_answer(const std::vector<std::string>& tokens) {
  std::string text;
  std::vector<std::size_t> begins;
  for (const std::string& token : tokens) {
    begins.push_back(text.size());
    text += token;
  }
  if (is_blank(text)) return 0;
  // A marker that is still being spelled.
  const std::string_view spelled =
      std::string_view(text).substr(std::min(text.find_first_not_of(" \n"), text.size()));
  for (const std::string_view marker : {"<think>", "[THINK]", "<|channel|>"}) {
    if (marker.starts_with(spelled)) return std::nullopt;
  }
  for (const auto& [begin, end] : answer_parts(text)) {
    for (std::size_t k = 0; k < tokens.size(); ++k) {
      if (begins[k] >= begin && begins[k] < end && !is_blank(tokens[k])) return k;
    }
  }
  return std::nullopt;
}

/// Sets `top` of the answer, or why there is none.
void read_logprobs(const json& logprobs, ChatAnswer& answer) {
  answer.no_top = "the server sent no log-probabilities";
  if (logprobs.is_null()) return;
  answer.no_top =
      fmt::format("log-probabilities came in a form that is not known: {}", excerpt(json_text(logprobs), 80));
  std::vector<std::string> tokens;
  std::vector<std::vector<TokenLogprob>> tops;
  const json& content = member(logprobs, "content");
  const json& names = member(logprobs, "tokens");  // of the older format: lists beside each other
  for (const json& entry : content.is_array() ? content : names.is_array() ? names : json::array()) {
    const json& token = content.is_array() ? member(entry, "token") : entry;
    tokens.push_back(token.is_string() ? token.get<std::string>() : "");
    if (content.is_array()) {
      tops.push_back(top_tokens(member(entry, "top_logprobs")));
    } else {
      const json& lists = member(logprobs, "top_logprobs");
      tops.emplace_back();
      if (lists.is_array() && tops.size() <= lists.size()) tops.back() = top_tokens(lists[tops.size() - 1]);
    }
  }
  if (tokens.empty()) return;
  if (const auto first = first_of_answer(tokens)) {
    answer.top = std::move(tops[*first]);
    answer.no_top = answer.top.empty() ? "the server sent only the chosen token's log-probability" : "";
  } else {
    answer.no_top = "the model begins with a thought; turn its thinking off";
  }
}

/// The choice that was asked for: the one of index 0, or the first where none says so.
const json& first_choice(const json& choices) {
  static const json none;
  if (!choices.is_array() || choices.empty()) return none;
  const auto found = std::find_if(choices.begin(), choices.end(),
                                  [](const json& choice) { return member(choice, "index") == 0; });
  return found == choices.end() ? choices.front() : *found;
}

/// Why a choice ends, under the names of several servers.
const json& ending_reason(const json& choice) {
  for (const char* key : {"finish_reason", "stop_reason", "done_reason"}) {
    const json& reason = member(choice, key);
    if (reason.is_string()) return reason;
  }
  return member(choice, "finish_reason");
}

/// Sets the ending; says why it is a fault of the server.
std::string read_ending(const json& reason, ChatAnswer& answer) {
  if (!reason.is_string()) return {};
  const std::string word = lower_case(reason.get_ref<const std::string&>());
  for (const std::string_view cut :
       {"length", "max_tokens", "max_output_tokens", "token_limit", "model_length"}) {
    if (word == cut) answer.ending = Ending::cut_off;
  }
  if (word == "content_filter" || word == "safety") answer.ending = Ending::filtered;
  for (const std::string_view broken :
       {"error", "failed", "timeout", "abort", "aborted", "cancelled", "insufficient_system_resource"}) {
    if (word == broken) return fmt::format("a reply that the server broke off (finish_reason {})", word);
  }
  return {};
}

}  // namespace

std::string chat_body(const ChatParameters& parameters, AnswerKind kind, const Prompt& prompt) {
  json messages = json::array();
  if (!prompt.system.empty()) messages.push_back({{"role", "system"}, {"content", prompt.system}});
  messages.push_back({{"role", "user"}, {"content", prompt.user}});
  json body = {{"model", parameters.model}, {"messages", messages}, {"temperature", parameters.temperature}};
  if (parameters.max_tokens > 0) body["max_tokens"] = parameters.max_tokens;
  if (!is_of_many_tokens(kind)) {
    body["max_tokens"] = 1;
    body["logprobs"] = true;
    body["top_logprobs"] = parameters.top_logprobs;
  }
  for (const auto& [name, value] : parameters.extra) {
    auto parsed = parse_json(value);
    require(parsed.has_value(),
            fmt::format("the parameter {} is '{}', which is not JSON; quote strings twice: {}='\"text\"'",
                        name, value, name));
    body[name] = std::move(*parsed);
  }
  // Item titles may hold anything; JSON is UTF-8.
  return json_text(body);
}

std::int64_t token_count(const json& reply, const char* key) {
  const json& count = member(member(reply, "usage"), key);
  if (!count.is_number_integer()) return 0;
  const bool sane = count.is_number_unsigned()
                        ? count.get<std::uint64_t>() <= static_cast<std::uint64_t>(kMostTokens)
                        : count.get<std::int64_t>() >= 0 && count.get<std::int64_t>() <= kMostTokens;
  return sane ? count.get<std::int64_t>() : 0;
}

bool is_error(const json& error) {
  if (error.is_boolean()) return error.get<bool>();
  if (error.is_number()) return error != 0;
  return error.is_string() ? is_text(error) : !error.empty();
}

std::string error_message(const json& error) {
  const json& message = member(error, "message");
  const json& said = message.is_string() ? message : error;
  return excerpt(said.is_string() ? said.get<std::string>() : json_text(said));
}

ChatReply read_chat_body(const std::string& body, const Redactor& redactor) {
  const auto read = parse_json(body, kMostReplyValues);
  if (!read)
    return {{}, "an answer that is not of the protocol: no JSON, or more of it than any answer needs"};
  ChatReply reply = read_chat_reply(*read);
  ChatAnswer& answer = reply.answer;
  for (std::string* text : {&answer.text, &answer.no_top, &answer.refusal, &reply.fault})
    *text = redactor.text(std::move(*text));
  for (auto& [token, logprob] : answer.top) token = redactor.text(std::move(token));
  return reply;
}

ChatReply read_chat_reply(const json& body) {
  ChatReply reply;
  ChatAnswer& answer = reply.answer;
  answer.tokens_in = token_count(body, "prompt_tokens");
  answer.tokens_out = token_count(body, "completion_tokens");
  const json& first = first_choice(member(body, "choices"));
  const json& message = member(first, "message");
  for (const json* object : {&body, &first, &message}) {
    const json& error = member(*object, "error");
    if (!is_error(error)) continue;
    reply.fault = fmt::format("an error instead of an answer: {}", error_message(error));
    return reply;
  }
  if (!message.is_object()) {
    reply.fault = "an answer that is not of the protocol";
    return reply;
  }
  reply.fault = read_ending(ending_reason(first), answer);
  if (!reply.fault.empty()) return reply;
  answer.text = content_text(member(message, "content"));
  const json& refusal = member(message, "refusal");
  answer.refused = is_text(refusal);
  if (answer.refused && answer.text.empty()) answer.refusal = refusal.get<std::string>();
  read_logprobs(member(first, "logprobs"), answer);
  return reply;
}

std::string to_cache_text(const ChatAnswer& answer) {
  json stored = {{"text", answer.text}};
  if (!answer.top.empty()) stored["top"] = answer.top;
  if (answer.ending == Ending::cut_off) stored["finish"] = "length";
  if (answer.ending == Ending::filtered) stored["finish"] = "content_filter";
  if (answer.refused) stored["refused"] = true;
  if (!answer.refusal.empty()) stored["refusal"] = answer.refusal;
  return json_text(stored);
}

std::optional<ChatAnswer> from_cache_text(const std::string& text) {
  const auto stored = parse_json(text);
  if (!stored || !member(*stored, "text").is_string()) return std::nullopt;
  ChatAnswer answer;
  answer.text = (*stored)["text"].get<std::string>();
  try {
    if (stored->contains("top")) answer.top = (*stored)["top"].get<std::vector<TokenLogprob>>();
  } catch (const json::exception&) {
    return std::nullopt;
  }
  read_ending(member(*stored, "finish"), answer);
  answer.refused = member(*stored, "refused") == true;
  if (const json& refusal = member(*stored, "refusal"); is_text(refusal))
    answer.refusal = refusal.get<std::string>();
  return answer;
}

std::string written_text(const ChatAnswer& answer) {
  if (answer.refused || answer.ending == Ending::filtered) return {};
  const std::string said = without_thoughts(answer.text);
  const std::string_view text = trim(said);
  return text.size() < kShortestText ? std::string() : std::string(text);
}

ReadAnswer read_answer(AnswerKind kind, const ChatAnswer& answer, std::size_t candidates) {
  switch (kind) {
    case AnswerKind::choice:
      return read_choice(answer.top, candidates);
    case AnswerKind::yes_no:
      return read_yes_no(answer.top);
    case AnswerKind::text:
      return {.scores = {}, .faults = {}, .says_something = !written_text(answer).empty()};
    case AnswerKind::scores:
      break;
  }
  return read_scores_text(answer.text, candidates, answer.ending == Ending::cut_off);
}

std::string why_unusable(AnswerKind kind, const ChatAnswer& answer, const ReadAnswer& read) {
  std::string what = kind == AnswerKind::text
                         ? fmt::format("no text of {} bytes or more", kShortestText)
                         : fmt::format("{} of {} scores could be read", read.read(), read.scores.size());
  const bool text = is_of_many_tokens(kind);
  if (!text && answer.top.empty()) what += ", " + answer.no_top;
  if (kind == AnswerKind::choice && !answer.top.empty())
    what += ", fewer than two labels are among the likeliest tokens";
  if (text && answer.ending == Ending::cut_off) what += ", cut off by the limit of tokens";
  if (answer.ending == Ending::filtered) what += ", stopped by a content filter";
  if (answer.refused) what += ", refused";
  const auto blank = [](const std::string& said) { return said.find_first_not_of(" \t\r\n") == said.npos; };
  const std::string& said = answer.text.empty() ? answer.refusal : answer.text;
  if (text && blank(said)) return what + ", the answer is empty";
  if (text && blank(without_thoughts(said))) what += ", a thought and no answer";
  return fmt::format("{}; the answer: {}", what, excerpt(said));
}

std::string excerpt(const std::string& text, std::size_t length) {
  std::string line;
  for (const char c : text.substr(0, length)) line += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return text.size() > length ? line + "..." : line;
}

}  // namespace sllmr
