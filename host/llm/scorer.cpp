#include "host/llm/scorer.h"

#include <fmt/format.h>

#include "host/config/nearest.h"
#include "kernels/exec/error.h"

namespace sllmr {

std::vector<LlmScore> score_lexical(const Split& split, const std::vector<CandidateSet>& sets);

const std::vector<ScorerInfo>& scorers() {
  static const std::vector<ScorerInfo> all = {
      {"lexical", "stand-in without an LLM: TF-IDF cosine of the history's and the candidate's text",
       score_lexical},
  };
  return all;
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
