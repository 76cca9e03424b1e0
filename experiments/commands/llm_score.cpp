// The flags of `sllmr llm score`.
#include "experiments/commands/llm_score.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "experiments/commands/flags.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr double kDay = 86400;  // in seconds
constexpr double kMost = 1e15;  // tokens, prompts, money: beyond any bill, and exact as a double

/// Throws Error for a flag that was given and that other scorers alone read.
void require_applicable(const CLI::App& command, const ScorerInfo& chosen) {
  for (const ScorerInfo& other : scorers()) {
    for (const std::string& flag : other.flags) {
      if (command.count(flag) == 0 || std::ranges::find(chosen.flags, flag) != chosen.flags.end()) continue;
      throw Error(fmt::format("'{}' does not apply: --scorer {} has no use for it ({} has); leave it out",
                              flag, chosen.name, other.name));
    }
  }
}

}  // namespace

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

  add("--url", scoring.url, "Address of the server, up to and with /v1")->group("Server");
  add("--server", scoring.server, "Name of the server in the answer cache (default: its address)")
      ->group("Server");
  add("--model", scoring.chat.model, "Model, as the server calls it")->group("Server");
  add("--key-env", flags->key_variable,
      "Environment variable that holds the key (default: OPENAI_API_KEY, and that for https://api.openai.com "
      "alone)")
      ->group("Server");
  number("--in-flight", scoring.http.in_flight, "Requests under way at a time", 1, 4096)->group("Server");
  number("--requests-per-minute", scoring.http.requests_per_minute, "0: no limit", 0.0, kMost)
      ->group("Server");
  number("--tokens-per-minute", scoring.http.tokens_per_minute, "0: no limit", 0.0, kMost)->group("Server");
  number("--timeout", scoring.http.timeout_s, "Seconds until a try counts as failed", 0.001, kDay)
      ->group("Server");
  number("--tries", scoring.http.max_tries, "Tries a request", 1, 1000)->group("Server");
  number("--retry-delay", scoring.http.first_delay_s, "Seconds before the second try; doubles with each",
         0.001, kDay)
      ->group("Server");

  add("--template", scoring.prompt, "Prompt: scores, choice, yes_no, or a TOML file (see llm prompt)")
      ->group("Prompt");
  add("--domain", scoring.domain, "What the prompt calls the shop (default: name of the data)")
      ->group("Prompt");
  number("--permutations", scoring.permutations,
         "Prompts a user, candidates in another order; the score is their mean, and 4 times their variance a "
         "column of the table",
         1, 100)
      ->group("Prompt");
  add("--debias", scoring.debias, "Template choice: take off what a position gets on average")
      ->group("Prompt");
  number("--temperature", scoring.chat.temperature, "Sampling temperature", 0.0, 100.0)->group("Prompt");
  number("--max-tokens", scoring.chat.max_tokens, "Most tokens of an answer; 0: the server decides", 0,
         std::numeric_limits<int>::max())
      ->group("Prompt");
  number("--top-logprobs", scoring.chat.top_logprobs, "Tokens with log-probabilities (choice, yes_no)", 1,
         1000)
      ->group("Prompt");
  score->add_option("--param", flags->parameters, "More of the request, NAME=JSON; may be repeated")
      ->group("Prompt");

  add("--cache", scoring.cache, "Answer cache (default: OUT.cache)")->group("Run");
  add("--batch", scoring.batch, "Folder of batch files (scorer batch)")->group("Run");
  add("--in", flags->in, "Finished table (scorer file)")->group("Run");
  add_min_known_flag(*score, flags->min_known);
  number("--max-bad", scoring.max_bad_share, "Share of bad answers above which the run stops", 0.0, 1.0)
      ->group("Run");
  score->add_flag("--forecast", flags->forecast_only, "Say what it would cost, and ask nobody")->group("Run");

  const auto budget = [&](const char* name, auto& value, const char* doc) {
    number(name, value, doc, std::decay_t<decltype(value)>{0}, std::decay_t<decltype(value)>(kMost))
        ->group("Budget");
  };
  budget("--users", flags->budget.users, "Most users; 0: all");
  budget("--budget-prompts", flags->budget.prompts, "Most prompts; 0: no limit");
  budget("--budget-tokens", flags->budget.tokens, "Most tokens, by estimate; 0: no limit");
  budget("--budget-money", flags->budget.money, "Most money at these prices; 0: no limit");
  budget("--price-in", scoring.prices.in, "Money per million tokens in");
  budget("--price-out", scoring.prices.out, "Money per million tokens out");
  add("--priority", flags->priority, "Whom to ask first: sampled, cold, tail, uncertain")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kPriorities), std::end(kPriorities))))
      ->group("Budget");
  score->callback([flags, score] {
    require_applicable(*score, find_scorer(flags->scorer));
    run_llm_score(*flags);
  });
}

}  // namespace sllmr
