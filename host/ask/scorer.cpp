#include "host/ask/scorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "host/ask/server_address.h"
#include "host/base/lower_case.h"
#include "host/base/nearest.h"
#include "kernels/exec/error.h"

namespace sllmr {

ScoreResult score_openai(const ScoreJob& job);
ScoreResult score_batch(const ScoreJob& job);
ScoreResult score_embeddings(const ScoreJob& job);
ScoreResult score_file(const ScoreJob& job);
ScoreResult score_lexical(const ScoreJob& job);

namespace {

using Flags = std::vector<std::string>;
const Flags kServer = {"--url", "--server", "--model"},
            kRequests = {"--key-env", "--in-flight", "--requests-per-minute", "--tokens-per-minute",
                         "--timeout", "--tries",     "--retry-delay"},
            kPrompt = {"--template",    "--domain",     "--permutations", "--debias",
                       "--temperature", "--max-tokens", "--top-logprobs", "--param"},
            kBill = {"--cache", "--max-bad", "--price-in", "--price-out"},
            kBudget = {"--forecast", "--budget-prompts", "--budget-tokens", "--budget-money"};

Flags joined(std::initializer_list<Flags> parts) {
  Flags all;
  for (const Flags& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

const std::vector<ScorerInfo>& scorers() {
  static const std::vector<ScorerInfo> all = {
      {"openai", "a language model behind an OpenAI-compatible server (--url, --model)", score_openai, true,
       true, joined({kServer, kRequests, kPrompt, kBill, kBudget})},
      {"batch", "the same through OpenAI batch files in a folder (--batch)", score_batch, true, true,
       joined({{"--batch"}, kServer, kPrompt, kBill, kBudget})},
      {"embeddings", "cosine of history and candidate by a /v1/embeddings server (--url, --model)",
       score_embeddings, true, false, joined({kServer, kRequests, kBill})},
      {"file",
       "looks the candidates up in a finished table (--in)",
       score_file,
       true,
       false,
       {"--in", "--min-known"}},
      {"lexical",
       "stand-in without an LLM: TF-IDF cosine of the history's and the candidate's text",
       score_lexical,
       false,
       false,
       {}},
  };
  return all;
}

std::string server_name(const ScorerOptions& options) {
  if (!options.server.empty()) return options.server;
  if (options.url.empty()) return options.batch.empty() ? "" : "https://api.openai.com/v1";
  std::string name = checked_server_url(options.url);
  const std::size_t host = name.find("://") + 3;
  const std::size_t path = std::min(name.find('/', host), name.size());
  name = lower_case(std::string_view(name).substr(0, path)) + name.substr(path);
  const std::string port = name.starts_with("https") ? ":443" : ":80";
  if (name.substr(0, path).ends_with(port)) name.erase(path - port.size(), port.size());
  return name;
}

std::vector<LlmScore> ScorerInfo::score(const Split& split, const std::vector<CandidateSet>& sets) const {
  require(!needs_options, fmt::format("the scorer {} is for `sllmr llm score`, once; train with its table "
                                      "(llm.scorer=file llm.scores=TABLE)",
                                      name));
  return run({split, sets, {}}).scores;
}

void to_json(nlohmann::json& out, const ScoreSummary& s) {
  out = {{"pairs", s.pairs},
         {"defaulted", s.defaulted},
         {"answers", s.answers},
         {"cached", s.cached},
         {"bad", s.bad},
         {"failed", s.failed},
         {"tokens_in", s.tokens_in},
         {"tokens_out", s.tokens_out},
         {"paid_tokens_in", s.paid_tokens_in},
         {"paid_tokens_out", s.paid_tokens_out},
         {"money", s.money},
         {"paid_money", s.paid_money},
         {"seconds", s.seconds},
         {"answer_seconds", s.answer_seconds},
         {"faults",
          {{"missing", s.faults.missing},
           {"not_a_number", s.faults.not_a_number},
           {"out_of_range", s.faults.out_of_range},
           {"repeated", s.faults.repeated},
           {"contradicted", s.faults.contradicted},
           {"unknown", s.faults.unknown},
           {"converted", s.faults.converted}}},
         {"cut_off", s.cut_off},
         {"filtered", s.filtered},
         {"refused", s.refused},
         {"retries",
          {{"rate_limited", s.http.rate_limited},
           {"server_errors", s.http.server_errors},
           {"timeouts", s.http.timeouts},
           {"broken", s.http.broken},
           {"rejected", s.http.rejected}}},
         {"examples", s.examples},
         {"position_mean", s.position_mean},
         {"position_count", s.position_count}};
}

const ScorerInfo& find_scorer(const std::string& name) {
  std::vector<std::string> names;
  for (const ScorerInfo& scorer : scorers()) {
    if (scorer.name == name) return scorer;
    names.emplace_back(scorer.name);
  }
  throw Error(fmt::format("unknown scorer '{}'; did you mean '{}'?", name, nearest_name(name, names)));
}

}  // namespace sllmr
