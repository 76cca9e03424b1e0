#include "host/llm/chat.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using nlohmann::json;

std::string text_of(const json& body) {
  // Item titles may hold anything; JSON is UTF-8.
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<TokenLogprob> top_of_first_token(const json& choice) {
  std::vector<TokenLogprob> top;
  const auto logprobs = choice.find("logprobs");
  if (logprobs == choice.end() || !logprobs->is_object()) return top;
  const auto content = logprobs->find("content");
  if (content == logprobs->end() || !content->is_array() || content->empty()) return top;
  const json& first = content->front();
  if (!first.is_object()) return top;
  const auto listed = first.find("top_logprobs");
  if (listed == first.end() || !listed->is_array()) return top;
  for (const json& entry : *listed) {
    if (!entry.is_object()) continue;
    const auto token = entry.find("token"), logprob = entry.find("logprob");
    if (token == entry.end() || !token->is_string() || logprob == entry.end() || !logprob->is_number())
      continue;
    top.emplace_back(token->get<std::string>(), logprob->get<double>());
  }
  return top;
}

std::int64_t count_of(const json& usage, const char* key) {
  const auto found = usage.find(key);
  return found != usage.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

}  // namespace

std::string chat_body(const ChatParameters& parameters, AnswerKind kind, const Prompt& prompt) {
  json messages = json::array();
  if (!prompt.system.empty()) messages.push_back({{"role", "system"}, {"content", prompt.system}});
  messages.push_back({{"role", "user"}, {"content", prompt.user}});
  json body = {{"model", parameters.model}, {"messages", messages}, {"temperature", parameters.temperature}};
  if (parameters.max_tokens > 0) body["max_tokens"] = parameters.max_tokens;
  if (kind != AnswerKind::scores) {
    body["max_tokens"] = 1;
    body["logprobs"] = true;
    body["top_logprobs"] = parameters.top_logprobs;
  }
  for (const auto& [name, value] : parameters.extra) {
    json parsed = json::parse(value, nullptr, /*allow_exceptions=*/false);
    require(!parsed.is_discarded(),
            fmt::format("the parameter {} is '{}', which is not JSON; quote strings twice: {}='\"text\"'",
                        name, value, name));
    body[name] = std::move(parsed);
  }
  return text_of(body);
}

std::optional<ChatAnswer> read_chat_body(const std::string& body) {
  const json reply = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object()) return std::nullopt;
  const auto choices = reply.find("choices");
  if (choices == reply.end() || !choices->is_array() || choices->empty()) return std::nullopt;
  const json& choice = choices->front();
  if (!choice.is_object()) return std::nullopt;
  const auto message = choice.find("message");
  if (message == choice.end() || !message->is_object()) return std::nullopt;
  ChatAnswer answer;
  // A model that refuses sends null.
  const auto content = message->find("content");
  if (content != message->end() && content->is_string()) answer.text = content->get<std::string>();
  answer.top = top_of_first_token(choice);
  const auto usage = reply.find("usage");
  if (usage != reply.end() && usage->is_object()) {
    answer.tokens_in = count_of(*usage, "prompt_tokens");
    answer.tokens_out = count_of(*usage, "completion_tokens");
  }
  return answer;
}

std::string to_cache_text(const ChatAnswer& answer) {
  json stored = {{"text", answer.text}};
  if (!answer.top.empty()) stored["top"] = answer.top;
  return text_of(stored);
}

std::optional<ChatAnswer> from_cache_text(const std::string& text) {
  try {
    const json stored = json::parse(text);
    ChatAnswer answer;
    answer.text = stored.at("text").get<std::string>();
    if (stored.contains("top")) answer.top = stored["top"].get<std::vector<TokenLogprob>>();
    return answer;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

ReadAnswer read_answer(AnswerKind kind, const ChatAnswer& answer, std::size_t candidates) {
  switch (kind) {
    case AnswerKind::choice:
      return read_choice(answer.top, candidates);
    case AnswerKind::yes_no:
      return read_yes_no(answer.top);
    case AnswerKind::scores:
      break;
  }
  return read_scores_text(answer.text, candidates);
}

std::string excerpt(const std::string& text, std::size_t length) {
  std::string line;
  for (const char c : text.substr(0, length)) line += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return text.size() > length ? line + "..." : line;
}

}  // namespace sllmr
