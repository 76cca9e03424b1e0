#include "host/ask/ask.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "host/ask/answer_cache.h"
#include "host/ask/cost.h"
#include "host/ask/redact.h"
#include "host/ask/server_address.h"
#include "host/base/json_text.h"
#include "host/base/progress.h"
#include "host/base/stopwatch.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

constexpr std::int64_t kFirstFailures = 3;  // without an answer before them: nobody is there
constexpr int kReadingTries = 3;            // of a prompt whose answers cannot be read

/// A question that the server has.
struct Open {
  Question question;
  std::optional<ChatAnswer> answer;  // the last one that came
  ReadAnswer read;
};

}  // namespace

std::string server_message(const std::string& body) {
  const auto reply = parse_json(body, kMostReplyValues);
  if (!reply || !reply->is_object() || !reply->contains("error")) return excerpt(body);
  return error_message((*reply)["error"]);
}

FirstReplies::FirstReplies(std::string url, std::int64_t requests)
    : url_(std::move(url)), left_(std::clamp<std::int64_t>(requests, 1, kFirstFailures)) {}

void FirstReplies::failed(const HttpReply& reply) {
  const char* remedy = nullptr;
  bool hopeless = false;
  if (reply.status == 401 || reply.status == 403) remedy = "check the key (--key-env)";
  if (reply.status == 404) remedy = "check the address (--url, up to and with /v1) and the model (--model)";
  if (reply.status >= 300 && reply.status < 400) remedy = "give the address that it redirects to (--url)";
  if (remedy != nullptr) hopeless = reply.status != 403 && reply.status != 404;
  // Once something has worked, these are a prompt's own: a moderated text, a server that is away for a
  // moment.
  if ((remedy != nullptr || reply.status == 0) && !worked_) hopeless = --left_ <= 0 || hopeless;
  if (!hopeless) return;
  if (remedy == nullptr)
    throw Error(fmt::format("no answer from {}: {} after {} tries", url_, reply.error, reply.tries));
  throw Error(fmt::format("the server at {} refuses with status {}: {}; {}", url_, reply.status,
                          server_message(reply.body), remedy));
}

std::optional<StoredAnswer> stored_answer(const Questions& questions, const Question& question,
                                          AnswerCache& cache) {
  auto cost = cache.find(question.key);
  if (!cost) return std::nullopt;
  auto answer = from_cache_text(cost->text);
  if (!answer) return std::nullopt;
  ReadAnswer read = questions.read(question, *answer);
  if (!read.usable()) return std::nullopt;
  return StoredAnswer{std::move(*cost), std::move(*answer), std::move(read)};
}

void store_answer(const Questions& questions, const Question& question, const ChatAnswer& answer,
                  double seconds, AnswerCache& cache) {
  CachedAnswer stored;
  stored.text = to_cache_text(answer);
  stored.model = questions.options().chat.model;
  stored.template_name = questions.prompt().name;
  stored.tokens_in = answer.tokens_in;
  stored.tokens_out = answer.tokens_out;
  stored.seconds = seconds;
  stored.server = questions.server();
  if (!cache.put(question.key, stored) && !stored_answer(questions, question, cache))
    cache.replace(question.key, stored);
}

bool ask_all(const Questions& questions, AnswerCache& cache, Tally& tally) {
  const ScorerOptions& options = questions.options();
  const std::string url = checked_server_url(options.url) + "/chat/completions";
  require(!options.chat.model.empty(), "the server needs to know which model: give --model");
  const Stopwatch watch;

  ScoreSummary& summary = tally.summary;
  std::unordered_map<std::int64_t, Open> under_way;
  // Equal prompts have one key and one answer, which is paid for, and counted, once.
  std::unordered_map<std::string, std::vector<std::pair<std::int64_t, Question>>> waiting;
  std::unordered_set<std::string> counted;
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
      if (const auto same = waiting.find(question.key); same != waiting.end()) {
        question.body.clear();
        same->second.emplace_back(next, std::move(question));
        continue;
      }
      if (const auto stored = stored_answer(questions, question, cache)) {
        ++summary.cached;
        if (counted.insert(question.key).second) {
          count(stored->cost.tokens_in, stored->cost.tokens_out);
          summary.answer_seconds += stored->cost.seconds;
        }
        tally.answer(question, next, stored->answer, stored->read);
        draw();
        continue;
      }
      HttpRequest request;
      request.id = static_cast<std::uint64_t>(next);
      request.url = url;
      request.body = std::move(question.body);
      request.tokens = static_cast<std::int64_t>(expected_tokens(questions, question).sum());
      question.body.clear();
      waiting.try_emplace(question.key);
      counted.insert(question.key);
      under_way.emplace(next++, Open{std::move(question), std::nullopt, {}});
      return request;
    }
    return std::nullopt;
  };
  const Redactor redactor(options.http.key);
  const auto accept = [&](std::uint64_t id, const std::string& body, int tries) {
    Open& open = under_way.at(static_cast<std::int64_t>(id));
    ChatReply reply = read_chat_body(body, redactor);
    // Paid for, whatever it is worth.
    count(reply.answer.tokens_in, reply.answer.tokens_out);
    summary.paid_tokens_in += reply.answer.tokens_in;
    summary.paid_tokens_out += reply.answer.tokens_out;
    if (!reply.fault.empty()) return Verdict{std::move(reply.fault)};
    open.read = questions.read(open.question, reply.answer);
    open.answer = std::move(reply.answer);
    if (open.read.usable()) return Verdict();
    // It is the model's fault, which often repeats itself, not the server's.
    return Verdict{why_unusable(questions.prompt().answer, *open.answer, open.read), tries < kReadingTries};
  };
  FirstReplies first_replies(url, questions.count());
  const auto sink = [&](HttpReply reply) {
    const auto number = static_cast<std::int64_t>(reply.id);
    const auto found = under_way.find(number);
    const Open open = std::move(found->second);
    under_way.erase(found);
    const auto same = waiting.extract(open.question.key);
    summary.answer_seconds += reply.seconds;
    if (open.answer) {
      first_replies.worked();
      if (reply.error.empty()) store_answer(questions, open.question, *open.answer, reply.seconds, cache);
      tally.answer(open.question, number, *open.answer, open.read);
      for (const auto& [other, question] : same.mapped()) {
        tally.answer(question, other, *open.answer, open.read);
      }
    } else {
      first_replies.failed(reply);
      const std::string detail = reply.status >= 200 && reply.status < 300 ? "" : server_message(reply.body);
      const std::string failure =
          fmt::format("{} after {} tries{}{}", reply.error, reply.tries, detail.empty() ? "" : ": ", detail);
      tally.failure(open.question, failure);
      for (const auto& [other, question] : same.mapped()) tally.failure(question, failure);
    }
    tally.check_bad_share(false);
    draw();
  };

  HttpClient client(options.http);
  const InterruptGuard guard;
  summary.http = client.run(source, sink, accept, interrupted);
  if (interrupted()) return false;
  tally.check_bad_share(true);
  fill_costs(summary, options.prices, watch.seconds());
  return true;
}

}  // namespace sllmr
