#include "host/ask/cost.h"

#include <cmath>
#include <limits>
#include <string>
#include <unordered_set>

#include "host/ask/ask.h"
#include "host/ask/score_questions.h"

namespace sllmr {

TokenEstimate expected_tokens(const Questions& questions, const Question& question) {
  return {expected_tokens(question.prompt_bytes), questions.expected_answer_tokens(question)};
}

SetCost expected_cost(const ScoreJob& job) {
  const ScoreQuestions questions(job);
  SetCost sum;
  for (std::int64_t k = 0; k < questions.count(); ++k) {
    const TokenEstimate tokens = expected_tokens(questions, questions.at(k));
    ++sum.prompts;
    sum.tokens += tokens.sum();
    sum.money += job.options.prices.of(tokens.in, tokens.out);
  }
  return sum;
}

void Forecaster::add_cached(std::int64_t bytes, const CachedAnswer& cost) {
  ++sums_.prompts;
  ++sums_.cached;
  known_bytes_ += static_cast<double>(bytes);
  known_tokens_ += static_cast<double>(cost.tokens_in);
  known_seconds_ += cost.seconds;
}

void Forecaster::add_missing(const TokenEstimate& tokens) {
  ++sums_.prompts;
  sums_.tokens_in += tokens.in;
  sums_.tokens_out += tokens.out;
}

Forecast Forecaster::finish(const ScorerOptions& options, int texts_per_request) const {
  Forecast result = sums_;
  result.tokens_per_byte = known_tokens_ > 0 ? known_tokens_ / known_bytes_ : kTokensPerByte;
  result.tokens_in *= result.tokens_per_byte / kTokensPerByte;
  result.money = options.prices.of(result.tokens_in, result.tokens_out);
  const auto left = static_cast<double>(result.prompts - result.cached);
  const HttpOptions& http = options.http;
  result.seconds = result.cached > 0
                       ? left * known_seconds_ / static_cast<double>(result.cached) / http.in_flight
                       : std::numeric_limits<double>::quiet_NaN();
  const auto at_least = [&](double amount, double per_minute) {
    if (per_minute > 0) result.seconds = std::fmax(result.seconds, 60 * amount / per_minute);
  };
  at_least(std::ceil(left / texts_per_request), http.requests_per_minute);
  at_least(result.tokens_in + result.tokens_out, http.tokens_per_minute);
  return result;
}

Forecast forecast(const Questions& questions) {
  AnswerCache cache(questions.options().cache);
  Forecaster sums;
  std::unordered_set<std::string> asked;  // equal prompts are paid for once
  for (std::int64_t k = 0; k < questions.count(); ++k) {
    const Question question = questions.at(k);
    if (!asked.insert(question.key).second) continue;
    if (const auto stored = stored_answer(questions, question, cache)) {
      sums.add_cached(question.prompt_bytes, stored->cost);
    } else {
      sums.add_missing(expected_tokens(questions, question));
    }
  }
  return sums.finish(questions.options());
}

Forecast forecast(const ScoreJob& job) {
  return forecast(ScoreQuestions(job));
}

void fill_costs(ScoreSummary& summary, const TokenPrices& prices, double seconds) {
  summary.money = prices.of(static_cast<double>(summary.tokens_in), static_cast<double>(summary.tokens_out));
  summary.paid_money =
      prices.of(static_cast<double>(summary.paid_tokens_in), static_cast<double>(summary.paid_tokens_out));
  summary.seconds = seconds;
}

}  // namespace sllmr
