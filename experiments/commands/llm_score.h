// `sllmr llm score`: its flags, and what it keeps of a run.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "experiments/commands/llm_command.h"
#include "host/ask/candidates.h"
#include "host/ask/cost.h"
#include "host/ask/plan.h"
#include "host/ask/scorer.h"

namespace sllmr {

struct ScoreFlags {
  DataFlags data;
  TableFlags table;
  std::string in, scorer;
  CandidateOptions candidates;
  ScorerOptions scoring;
  Budget budget;
  std::string priority = "sampled";
  std::string key_variable;
  std::vector<std::string> parameters;
  bool forecast_only = false;
  double min_known = kMinKnown;
};

/// Plans, asks, and writes the table and its note. Throws Interrupted after Ctrl-C.
void run_llm_score(ScoreFlags& flags);

/// For the note beside the table.
nlohmann::json audit_json(const PlanAudit& audit);
/// What of the flags makes the scores what they are. No address, no key.
nlohmann::json settings_json(const ScoreFlags& flags);

}  // namespace sllmr
