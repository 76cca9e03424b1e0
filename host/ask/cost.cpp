#include "host/ask/cost.h"

#include <cmath>
#include <limits>

#include "host/ask/answer_cache.h"
#include "host/ask/ask.h"

namespace sllmr {

TokenEstimate expected_tokens(const Questions& questions, const Question& question) {
  return {expected_tokens(question.prompt_bytes), questions.expected_answer_tokens(question)};
}

SetCost expected_cost(const ScoreJob& job) {
  const Questions questions(job);
  SetCost sum;
  for (std::int64_t k = 0; k < questions.count(); ++k) {
    const TokenEstimate tokens = expected_tokens(questions, questions.at(k));
    ++sum.prompts;
    sum.tokens += tokens.sum();
    sum.money += job.options.prices.of(tokens.in, tokens.out);
  }
  return sum;
}

Forecast forecast(const ScoreJob& job) {
  const Questions questions(job);
  Forecast result;
  result.prompts = questions.count();
  AnswerCache cache(job.options.cache);
  double known_bytes = 0, known_tokens = 0, known_seconds = 0;
  for (std::int64_t k = 0; k < questions.count(); ++k) {
    const Question question = questions.at(k);
    if (const auto stored = stored_answer(questions, question, cache)) {
      ++result.cached;
      known_bytes += static_cast<double>(question.prompt_bytes);
      known_tokens += static_cast<double>(stored->cost.tokens_in);
      known_seconds += stored->cost.seconds;
    } else {
      const TokenEstimate tokens = expected_tokens(questions, question);
      result.tokens_in += tokens.in;
      result.tokens_out += tokens.out;
    }
  }
  result.tokens_per_byte = known_tokens > 0 ? known_tokens / known_bytes : kTokensPerByte;
  result.tokens_in *= result.tokens_per_byte / kTokensPerByte;
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

void fill_costs(ScoreSummary& summary, const TokenPrices& prices, double seconds) {
  summary.money = prices.of(static_cast<double>(summary.tokens_in), static_cast<double>(summary.tokens_out));
  summary.paid_money =
      prices.of(static_cast<double>(summary.paid_tokens_in), static_cast<double>(summary.paid_tokens_out));
  summary.seconds = seconds;
}

}  // namespace sllmr
