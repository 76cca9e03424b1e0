// What asking costs: by estimate before, by count after.
#pragma once

#include <cstdint>

#include "host/ask/answer_cache.h"
#include "host/ask/plan.h"
#include "host/ask/questions.h"

namespace sllmr {

/// Tokens a byte of text where no answer tells the model's.
inline constexpr double kTokensPerByte = 0.25;

/// Estimated tokens of a text, where no answer tells the model's.
inline double expected_tokens(std::int64_t bytes) {
  return kTokensPerByte * static_cast<double>(bytes);
}

/// Estimated tokens of a request and of its answer.
struct TokenEstimate {
  double in = 0, out = 0;
  double sum() const { return in + out; }
};
TokenEstimate expected_tokens(const Questions& questions, const Question& question);

/// What asking all questions of a job is estimated to cost, without regard to the answer cache.
SetCost expected_cost(const ScoreJob& job);

/// What a run will cost, before it starts.
struct Forecast {
  std::int64_t prompts = 0, cached = 0;
  double tokens_in = 0, tokens_out = 0;  // of the prompts that are not in the cache
  double money = 0;
  double seconds = 0;          // NaN where nothing tells the server's pace
  double tokens_per_byte = 0;  // of prompts, measured by this model's cached answers, or kTokensPerByte
};
/// Adds it up, by what each text to be sent holds or has cost.
class Forecaster {
 public:
  void add_cached(std::int64_t bytes, const CachedAnswer& cost);
  void add_missing(const TokenEstimate& tokens);
  /// `texts_per_request`: the texts that share one.
  Forecast finish(const ScorerOptions& options, int texts_per_request = 1) const;

 private:
  Forecast sums_;
  double known_bytes_ = 0, known_tokens_ = 0, known_seconds_ = 0;
};
/// Reads the cache, asks nobody.
Forecast forecast(const Questions& questions);
/// For the scorers that ask.
Forecast forecast(const ScoreJob& job);

/// Fills money and seconds of the summary from its tokens.
void fill_costs(ScoreSummary& summary, const TokenPrices& prices, double seconds);

}  // namespace sllmr
