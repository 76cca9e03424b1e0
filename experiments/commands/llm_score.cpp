// The flags of `sllmr llm score`.
#include "experiments/commands/llm_score.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "experiments/commands/flags.h"

namespace sllmr {

void add_llm_score(CLI::App& llm) {
  const auto flags = std::make_shared<ScoreFlags>();
  CandidateOptions& candidates = flags->candidates;
  ScorerOptions& scoring = flags->scoring;
  std::string names;
  for (const ScorerInfo& scorer : scorers()) names += fmt::format("\n{}: {}", scorer.name, scorer.summary);

  CLI::App* score = llm.add_subcommand("score", "Choose candidates for every user and score them");
  add_data_flags(*score, flags->data)->required();
  add_table_flags(*score, flags->table)->required();
  const auto add = [&](const char* name, auto& value, const std::string& doc) {
    return score->add_option(name, value, doc)->capture_default_str();
  };
  add("--scorer", flags->scorer, "Who scores" + names)->required();
  const auto number = [&](const char* name, auto& value, const char* doc, auto low, auto high) {
    return add(name, value, doc)->check(number_in(low, high));
  };
  number("--candidates", candidates.per_user, "Candidates of a user, the probe among them", 2,
         kMostPromptItems);
  number("--history", candidates.prompt_history, "Training items before the probe that the scorer sees", 1,
         kMostPromptItems);
  number("--seed", candidates.seed, "Seed of the candidates and of their order", std::int64_t{0},
         std::numeric_limits<std::int64_t>::max());

  add_server_flags(*score, scoring, flags->key_variable);

  add("--template", scoring.prompt, "Prompt: scores, choice, yes_no, or a TOML file (see llm prompt)")
      ->group("Prompt");
  add_chat_flags(*score, scoring, flags->parameters);
  number("--permutations", scoring.permutations,
         "Prompts a user, candidates in another order; the score is their mean, and 4 times their variance a "
         "column of the table",
         1, 100)
      ->group("Prompt");
  add("--debias", scoring.debias, "Template choice: take off what a position gets on average")
      ->group("Prompt");
  number("--top-logprobs", scoring.chat.top_logprobs, "Tokens with log-probabilities (choice, yes_no)", 1,
         1000)
      ->group("Prompt");

  add("--batch", scoring.batch, "Folder of batch files (scorer batch)")->group("Run");
  add("--in", flags->in, "Finished table (scorer file)")->group("Run");
  add_min_known_flag(*score, flags->min_known);
  score->add_flag("--forecast", flags->forecast_only, "Say what it would cost, and ask nobody")->group("Run");

  const auto budget = [&](const char* name, auto& value, const char* doc) {
    number(name, value, doc, std::decay_t<decltype(value)>{0}, std::decay_t<decltype(value)>(kMostPaid))
        ->group("Budget");
  };
  budget("--users", flags->budget.users, "Most users; 0: all");
  budget("--budget-prompts", flags->budget.prompts, "Most prompts; 0: no limit");
  budget("--budget-tokens", flags->budget.tokens, "Most tokens, by estimate; 0: no limit");
  budget("--budget-money", flags->budget.money, "Most money at these prices; 0: no limit");
  add("--priority", flags->priority, "Whom to ask first: sampled, cold, tail, uncertain")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kPriorities), std::end(kPriorities))))
      ->group("Budget");
  score->callback([flags, score] {
    require_applicable(*score, "--scorer", scorers(), find_scorer(flags->scorer));
    run_llm_score(*flags);
  });
}

}  // namespace sllmr
