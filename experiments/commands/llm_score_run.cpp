// What `sllmr llm score` does.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "experiments/commands/llm_score.h"
#include "host/ask/prompt.h"
#include "host/base/json_text.h"
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
  fmt::print("{:>12}  answers: {} from the cache, {} bad, {} without a reply\n", s.answers, s.cached, s.bad,
             s.failed);
  fmt::print(
      "{:>12}  scores missing, {} not a number, {} out of range, {} repeated, {} contradicted, {} unknown, "
      "{} "
      "converted\n",
      s.faults.missing, s.faults.not_a_number, s.faults.out_of_range, s.faults.repeated,
      s.faults.contradicted, s.faults.unknown, s.faults.converted);
  fmt::print("{:>12}  answers cut off by the limit of tokens, {} stopped by a filter, {} refused\n",
             s.cut_off, s.filtered, s.refused);
  fmt::print("{:>12}  second tries: {} rate limit, {} server error, {} time-out, {} broken, {} malformed\n",
             s.http.rate_limited + s.http.server_errors + s.http.timeouts + s.http.broken + s.http.rejected,
             s.http.rate_limited, s.http.server_errors, s.http.timeouts, s.http.broken, s.http.rejected);
  fmt::print("{:>12}  tokens in, {} out; of this run {} and {}\n", s.tokens_in, s.tokens_out,
             s.paid_tokens_in, s.paid_tokens_out);
  fmt::print("{:>12.4f}  money; of this run {:.4f}, in {:.1f} s\n", s.money, s.paid_money, s.seconds);
  for (const std::string& example : s.examples) fmt::print("bad answer of {}\n", example);
}

void read_parameters(ScoreFlags& flags) {
  for (const std::string& parameter : flags.parameters) {
    const auto equals = parameter.find('=');
    // What was given is not repeated: it may be a secret.
    require(equals != parameter.npos && equals > 0, "--param: expected NAME=JSON, such as seed=1");
    const std::string name = parameter.substr(0, equals), value = parameter.substr(equals + 1);
    require(parse_json(value).has_value(),
            fmt::format("--param {0}: the value is not JSON, or nested too deep; quote texts twice: "
                        "{0}='\"text\"'",
                        name));
    flags.scoring.chat.extra[name] = value;
  }
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
  read_parameters(flags);
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
