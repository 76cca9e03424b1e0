#include "host/llm/ask.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "host/llm/answer_cache.h"
#include "host/train/interrupt.h"
#include "host/train/progress.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using nlohmann::json;

}  // namespace

std::string server_message(const std::string& body) {
  const json reply = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (reply.is_object()) {
    const auto error = reply.find("error");
    if (error != reply.end() && error->is_string()) return excerpt(error->get<std::string>());
    if (error != reply.end() && error->is_object() && error->contains("message") &&
        (*error)["message"].is_string())
      return excerpt((*error)["message"].get<std::string>());
  }
  return excerpt(body);
}

void check_fatal(const HttpReply& reply, const std::string& url) {
  const char* remedy = nullptr;
  if (reply.status == 401 || reply.status == 403) remedy = "check the key (--key-env)";
  if (reply.status == 404) remedy = "check the address (--url, up to and with /v1) and the model (--model)";
  if (reply.status >= 300 && reply.status < 400) remedy = "give the address that it redirects to (--url)";
  if (remedy == nullptr) return;
  throw Error(fmt::format("the server at {} refuses with status {}: {}; {}", url, reply.status,
                          server_message(reply.body), remedy));
}

void fill_costs(ScoreSummary& summary, const TokenPrices& prices, double seconds) {
  summary.money = prices.of(static_cast<double>(summary.tokens_in), static_cast<double>(summary.tokens_out));
  summary.paid_money =
      prices.of(static_cast<double>(summary.paid_tokens_in), static_cast<double>(summary.paid_tokens_out));
  summary.seconds = seconds;
}

bool ask_all(const Questions& questions, AnswerCache& cache, Tally& tally) {
  const ScorerOptions& options = questions.job().options;
  const std::string url = checked_server_url(options.url) + "/chat/completions";
  require(!options.chat.model.empty(), "the server needs to know which model: give --model");
  const auto start = std::chrono::steady_clock::now();

  ScoreSummary& summary = tally.summary;
  std::unordered_map<std::int64_t, Question> under_way;
  std::int64_t next = 0;
  std::optional<Progress> progress;
  if (options.progress) progress.emplace("asking", questions.count(), "answers");
  const auto count = [&](std::int64_t tokens_in, std::int64_t tokens_out) {
    summary.tokens_in += tokens_in;
    summary.tokens_out += tokens_out;
  };
  const auto draw = [&] {
    if (progress) progress->update(summary.answers, fmt::format("{} bad", summary.bad));
  };

  // Answers from the cache are taken on the way to the next question that has none.
  const auto source = [&]() -> std::optional<HttpRequest> {
    for (; next < questions.count() && !interrupted(); ++next) {
      Question question = questions.at(next);
      const auto stored = cache.find(question.key);
      const auto answer = stored ? from_cache_text(stored->text) : std::nullopt;
      if (answer) {
        ++summary.cached;
        count(stored->tokens_in, stored->tokens_out);
        tally.answer(question, next, *answer);
        draw();
        continue;
      }
      HttpRequest request;
      request.id = static_cast<std::uint64_t>(next);
      request.url = url;
      request.body = std::move(question.body);
      constexpr double kTokensPerByte = 0.25;
      request.tokens = static_cast<std::int64_t>(kTokensPerByte * static_cast<double>(question.prompt_bytes) +
                                                 questions.expected_answer_tokens(question));
      question.body.clear();
      under_way.emplace(next++, std::move(question));
      return request;
    }
    return std::nullopt;
  };
  const auto sink = [&](HttpReply reply) {
    const auto number = static_cast<std::int64_t>(reply.id);
    const auto found = under_way.find(number);
    const Question question = std::move(found->second);
    under_way.erase(found);
    if (!reply.error.empty()) {
      check_fatal(reply, url);
      const std::string detail = server_message(reply.body);
      const std::string reason =
          fmt::format("{} after {} tries{}{}", reply.error, reply.tries, detail.empty() ? "" : ": ", detail);
      // Nothing has ever worked: the address is wrong, or nobody is there.
      require(reply.status != 0 || summary.answers > 0, fmt::format("no answer from {}: {}", url, reason));
      tally.failure(question, reason);
    } else {
      const ChatAnswer answer = *read_chat_body(reply.body);
      CachedAnswer stored;
      stored.text = to_cache_text(answer);
      stored.model = options.chat.model;
      stored.template_name = questions.prompt().name;
      stored.tokens_in = answer.tokens_in;
      stored.tokens_out = answer.tokens_out;
      stored.seconds = reply.seconds;
      cache.put(question.key, stored);
      count(answer.tokens_in, answer.tokens_out);
      summary.paid_tokens_in += answer.tokens_in;
      summary.paid_tokens_out += answer.tokens_out;
      // As the cache will give it back, byte for byte.
      tally.answer(question, number, *from_cache_text(stored.text));
    }
    tally.check_bad_share(false);
    draw();
  };
  const auto accept = [](std::uint64_t, const std::string& body, int) {
    return Verdict{read_chat_body(body) ? "" : "an answer that is not of the protocol"};
  };

  HttpClient client(options.http);
  const InterruptGuard guard;
  summary.http = client.run(source, sink, accept, interrupted);
  if (interrupted()) return false;
  tally.check_bad_share(true);
  fill_costs(summary, options.prices,
             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return true;
}

Forecast forecast(const ScoreJob& job) {
  const Questions questions(job);
  Forecast result;
  result.prompts = questions.count();
  AnswerCache cache(job.options.cache);
  double new_bytes = 0, known_bytes = 0, known_tokens = 0, known_seconds = 0;
  for (std::int64_t k = 0; k < questions.count(); ++k) {
    const Question question = questions.at(k);
    const auto stored = cache.find(question.key);
    if (stored) {
      ++result.cached;
      known_bytes += static_cast<double>(question.prompt_bytes);
      known_tokens += static_cast<double>(stored->tokens_in);
      known_seconds += stored->seconds;
    } else {
      new_bytes += static_cast<double>(question.prompt_bytes);
      result.tokens_out += questions.expected_answer_tokens(question);
    }
  }
  constexpr double kTokensPerByte = 0.25;
  result.tokens_per_byte = known_tokens > 0 ? known_tokens / known_bytes : kTokensPerByte;
  result.tokens_in = new_bytes * result.tokens_per_byte;
  result.money = job.options.prices.of(result.tokens_in, result.tokens_out);
  const auto left = static_cast<double>(result.prompts - result.cached);
  const HttpOptions& http = job.options.http;
  result.seconds = result.cached > 0
                       ? left * known_seconds / static_cast<double>(result.cached) / http.in_flight
                       : std::numeric_limits<double>::quiet_NaN();
  const auto at_least = [&](double amount, double per_minute) {
    if (per_minute > 0) result.seconds = std::fmax(result.seconds, 60 * amount / per_minute);
  };
  at_least(left, http.requests_per_minute);
  at_least(result.tokens_in + result.tokens_out, http.tokens_per_minute);
  return result;
}

}  // namespace sllmr
