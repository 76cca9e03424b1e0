// What the note beside a score table keeps of the run that made it.
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "experiments/commands/llm_score.h"
#include "host/ask/answer_cache.h"
#include "host/ask/redact.h"
#include "host/base/json_text.h"

namespace sllmr {

using nlohmann::json;

namespace {

/// The extra parameters of the requests, as the table's note keeps them: equal where they are, and without
/// what may be a secret. Texts, lists and objects are kept as a hash.
json kept_parameters(const std::map<std::string, std::string>& parameters) {
  json kept = json::object();
  for (const auto& [name, text] : parameters) {
    const json value = parse_json(text).value_or(json());
    const bool plain = value.is_boolean() || value.is_null() || value.is_number();
    kept[name] = plain && text.size() < kShortestRedactedKey ? value : json("hash " + answer_key({text}));
  }
  return kept;
}

}  // namespace

json forecast_json(const Forecast& f) {
  return {{"prompts", f.prompts},
          {"cached", f.cached},
          {"to_ask", f.prompts - f.cached},
          {"tokens_in", std::round(f.tokens_in)},
          {"tokens_out", std::round(f.tokens_out)},
          {"money", f.money},
          {"seconds", std::isfinite(f.seconds) ? json(f.seconds) : json()},
          {"tokens_per_byte", f.tokens_per_byte}};
}

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
