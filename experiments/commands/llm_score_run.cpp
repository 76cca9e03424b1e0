// What `sllmr llm score` does.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "experiments/commands/llm_score.h"
#include "host/ask/prompt.h"
#include "host/data/split.h"
#include "host/scores/table_origin.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

using nlohmann::json;

void print_summary(const ScoreSummary& s) {
  fmt::print("{:>12}  pairs without a judgement, taken as {}\n", s.defaulted, kNoJudgement);
  if (s.answers == 0) return;
  fmt::print(
      "{:>12}  scores missing, {} not a number, {} out of range, {} repeated, {} contradicted, {} unknown, "
      "{} "
      "converted\n",
      s.faults.missing, s.faults.not_a_number, s.faults.out_of_range, s.faults.repeated,
      s.faults.contradicted, s.faults.unknown, s.faults.converted);
  print_bill(s);
}

/// The sets that the budget allows, audited.
std::vector<CandidateSet> plan(const Split& split, const ScoreFlags& flags, bool asks) {
  Priority priority = Priority::sampled;
  for (int k = 0; k < 4; ++k) {
    if (flags.priority == kPriorities[k]) priority = static_cast<Priority>(k);
  }
  auto sets = plan_candidates(split, flags.candidates);
  const Budget& budget = flags.budget;
  const bool limited = budget.users > 0 || budget.prompts > 0 || budget.tokens > 0 || budget.money > 0;
  if (!limited && !asks) return sets;
  const auto cost = [&](const CandidateSet& set) {
    if (!asks || (budget.prompts == 0 && budget.tokens <= 0 && budget.money <= 0)) return SetCost();
    const std::vector<CandidateSet> one = {set};
    return expected_cost({split, one, flags.scoring});
  };
  sets = choose_sets(split, std::move(sets), priority, budget, flags.candidates.seed, cost);
  require(!sets.empty(), "the budget allows for no user; raise it");
  return sets;
}

}  // namespace

void run_llm_score(ScoreFlags& flags) {
  const ScorerInfo& scorer = find_scorer(flags.scorer);
  ScorerOptions& scoring = flags.scoring;
  scoring.chat.extra = read_parameters(flags.parameters);
  take_key(scoring, flags.key_variable);
  scoring.file = flags.in;
  scoring.min_known = flags.min_known;
  scoring.seed = flags.candidates.seed;
  scoring.progress = true;
  if (scoring.cache.empty()) scoring.cache = flags.table.out + ".cache";

  const Dataset data = flags.data.load();
  if (!flags.forecast_only) {
    check_noted_output(flags.table.out, inputs_of(data, {flags.in, scoring.prompt, scoring.cache}),
                       flags.table.force);
  }
  const Split split = leave_one_out(data);
  const auto sets = plan(split, flags, scorer.asks);
  const PlanAudit audit = audit_plan(split, sets);
  require(audit.clean(), fmt::format("the plan leaks: {}", audit_json(audit).dump()));
  const ScoreJob job{split, sets, scoring};

  json foreseen;
  std::string prompt_name = scorer.name;
  if (scorer.asks) {
    prompt_name = load_prompt_template(scoring.prompt).name;
    const Forecast f = forecast(job);
    foreseen = forecast_json(f);
    print_forecast(f, fmt::format("prompts for {} users", sets.size()), scoring.cache);
  }
  if (flags.forecast_only) {
    require(scorer.asks, fmt::format("the scorer {} has no bill to forecast", scorer.name));
    return;
  }

  const ScoreResult result = scorer.run(job);
  if (result.interrupted) {
    fmt::print("stopped; {} answers are in {}, and the same command goes on\n", result.summary.answers,
               scoring.cache);
    throw Interrupted();
  }
  if (!result.pending.empty()) {
    fmt::print("{}\n", result.pending);
    return;
  }
  const std::string who =
      scoring.chat.model.empty() ? scorer.name : fmt::format("{}:{}", scorer.name, scoring.chat.model);
  const ScoreTable table = make_score_table(data, result.scores, who);
  write_and_summarise(table, split, flags.table);
  print_summary(result.summary);
  TableOrigin origin{scorer.name, scoring.chat.model, prompt_name, data.name, data.hash, now(),
                     {},          data.text_hash};
  origin.run = {
      {"settings", settings_json(flags)}, {"summary", result.summary}, {"audit", audit_json(audit)}};
  if (scorer.asks) origin.run["forecast"] = foreseen;
  write_origin(flags.table.out, origin);
}

}  // namespace sllmr
