// Who scores candidates. A new scorer is one file, scorer_NAME.cpp, and its line in scorer.cpp.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/ask/candidates.h"
#include "host/ask/chat.h"
#include "host/ask/http.h"
#include "host/scores/score_table.h"

namespace sllmr {

/// Prices in money per million tokens, as price lists give them.
struct TokenPrices {
  double in = 0, out = 0;
  double of(double tokens_in, double tokens_out) const { return 1e-6 * (in * tokens_in + out * tokens_out); }
};

/// What a scorer may be told. Each reads what it needs.
struct ScorerOptions {
  std::string url;                // of the server, up to and with /v1
  std::string server;             // its name in the answer cache; empty: the address
  std::string prompt = "scores";  // template: name or file
  std::string domain;             // how the prompt calls the data; empty: the data's name
  ChatParameters chat;
  HttpOptions http;              // holds the key
  std::string cache;             // file of the answer cache
  std::string batch;             // folder of batch files
  std::string file;              // finished table
  double min_known = kMinKnown;  // of it; see read_scores()
  int permutations = 1;  // prompts a user, each with the candidates in another order; scores are their mean
  bool debias = true;    // choice: take off what a position gets on average
  int texts_per_request = 64;  // embeddings
  double max_bad_share = 0.2;  // of the answers; above it the run stops
  std::uint64_t seed = 1;      // of the permutations
  TokenPrices prices;
  bool progress = false;  // draw a bar on a terminal
};

/// Who answers, as the answer cache knows it: options.server, or the address without its case and default
/// port. Batch files without either are OpenAI's; otherwise empty.
std::string server_name(const ScorerOptions& options);

struct ScoreJob {
  const Split& split;
  const std::vector<CandidateSet>& sets;
  const ScorerOptions& options;
};

struct ScoreSummary {
  std::int64_t pairs = 0, defaulted = 0;  // pairs without a judgement are 0.5
  std::int64_t answers = 0, cached = 0, bad = 0,
               failed = 0;                     // prompts: all, from the cache, unreadable, unanswered
  std::int64_t tokens_in = 0, tokens_out = 0;  // of all answers
  std::int64_t paid_tokens_in = 0, paid_tokens_out = 0;  // of this run's
  double money = 0, paid_money = 0, seconds = 0;         // seconds: of this run, from start to end
  double answer_seconds = 0;  // of the requests of all answers, added up; those of batches count none
  AnswerFaults faults;
  std::int64_t cut_off = 0, filtered = 0,
               refused = 0;  // answers: by the limit of tokens, a filter, the model
  HttpStats http;
  std::vector<std::string> examples;  // of bad answers, the first few
  std::vector<double> position_mean;  // mean score by position in the prompt; empty where there is none
  std::vector<std::int64_t> position_count;
};
void to_json(nlohmann::json& out, const ScoreSummary& summary);

struct ScoreResult {
  std::vector<LlmScore> scores;  // every candidate of every set, in the order of the sets
  ScoreSummary summary;
  std::string pending;       // why there are no scores yet: what to do before the next call
  bool interrupted = false;  // Ctrl-C: no scores; what was answered is in the cache
};

using ScorerFunction = ScoreResult (*)(const ScoreJob& job);

struct ScorerInfo {
  const char* name;
  const char* summary;  // one line for `sllmr llm score --help`; a stand-in says that it is one
  ScorerFunction run;
  bool needs_options;              // a server, a file: training cannot call it
  bool asks;                       // it has prompts, a cache and a bill
  std::vector<std::string> flags;  // of `sllmr llm score`, that not every scorer has a use for

  /// Scores with default options. Throws Error for a scorer that needs more than the data: such scores are
  /// made offline, once.
  std::vector<LlmScore> score(const Split& split, const std::vector<CandidateSet>& sets) const;
};
const std::vector<ScorerInfo>& scorers();
/// Throws Error naming the nearest known scorer.
const ScorerInfo& find_scorer(const std::string& name);

inline constexpr float kNoJudgement = 0.5F;

}  // namespace sllmr
