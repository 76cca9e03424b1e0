// Who scores candidates. A new scorer is one file, scorer_NAME.cpp, and its line in scorer.cpp.
#pragma once

#include <string>
#include <vector>

#include "host/llm/candidates.h"
#include "host/llm/score_table.h"

namespace sllmr {

/// Scores every candidate of every set, in the order of the sets; missing judgements are 0.5.
using ScorerFunction = std::vector<LlmScore> (*)(const Split& split, const std::vector<CandidateSet>& sets);

struct ScorerInfo {
  const char* name;
  const char* summary;  // one line for `sllmr llm score --help`; a stand-in says that it is one
  ScorerFunction score;
};
const std::vector<ScorerInfo>& scorers();
/// Throws Error naming the nearest known scorer.
const ScorerInfo& find_scorer(const std::string& name);

}  // namespace sllmr
