// What the note beside a score table keeps of the run that made it.
#include <nlohmann/json.hpp>
#include <string>

#include "experiments/commands/llm_score.h"

namespace sllmr {

using nlohmann::json;

json audit_json(const PlanAudit& audit) {
  return {{"sets", audit.sets},
          {"history_items", audit.history_items},
          {"candidates", audit.candidates},
          {"held_out_in_history", audit.held_out_in_history},
          {"probe_in_history", audit.probe_in_history},
          {"foreign_in_history", audit.foreign_in_history},
          {"train_in_candidates", audit.train_in_candidates},
          {"held_out_in_candidates", audit.held_out_in_candidates}};
}

json settings_json(const ScoreFlags& flags) {
  const ScorerOptions& s = flags.scoring;
  return {{"candidates", flags.candidates.per_user},
          {"history", flags.candidates.prompt_history},
          {"seed", flags.candidates.seed},
          {"permutations", s.permutations},
          {"debias", s.debias},
          {"temperature", s.chat.temperature},
          {"max_tokens", s.chat.max_tokens},
          {"parameters", kept_parameters(s.chat.extra)},
          {"domain", s.domain},
          {"priority", flags.priority},
          {"budget",
           {{"users", flags.budget.users},
            {"prompts", flags.budget.prompts},
            {"tokens", flags.budget.tokens},
            {"money", flags.budget.money}}},
          {"prices", {{"in", s.prices.in}, {"out", s.prices.out}}}};
}

}  // namespace sllmr
