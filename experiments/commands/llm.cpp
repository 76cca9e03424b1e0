#include "experiments/commands/llm.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "host/data/import.h"
#include "host/llm/scorer.h"

namespace sllmr {
namespace {

struct LlmOptions {
  std::string data, in, out, scorer;
  std::string format = "tsv";
  CandidateOptions candidates;
};

void add_shared_options(CLI::App& command, LlmOptions& options) {
  command.add_option("--data", options.data, "File, prefix (../data/beauty) or folder of the data")
      ->required();
  command.add_option("--out", options.out, "Score file to write")->required();
  command.add_option("--format", options.format, "Format of the score file")
      ->check(CLI::IsMember({"tsv", "jsonl"}))
      ->capture_default_str();
}

void write_and_summarise(const ScoreTable& table, const Split& split, const LlmOptions& options) {
  write_scores(options.out, table, *split.data, options.format == "jsonl");
  const ScoreStats stats = score_stats(table, split);
  fmt::print("wrote {} (scores of {} for {})\n", options.out, table.scorer, split.data->name);
  fmt::print("{:>12}  pairs, scores from {} to {}\n", stats.pairs, stats.lowest, stats.highest);
  fmt::print("{:>12}  users of {}\n", stats.users, split.data->users.count());
  fmt::print("{:>12}  cold users\n", stats.cold_users);
  fmt::print("{:>12}  probes\n", stats.probes);
  fmt::print("{:>12.3f}  agreement: share of the other candidates ranked below the probe, ties half\n",
             stats.agreement);
  fmt::print("{:>12.3f}  of cold users\n", stats.agreement_cold);
  fmt::print("{:>12.3f}  of warm users\n", stats.agreement_warm);
}

void add_score_command(CLI::App& llm) {
  const auto options = std::make_shared<LlmOptions>();
  CandidateOptions& candidates = options->candidates;
  std::string names;
  for (const ScorerInfo& scorer : scorers()) names += fmt::format("\n{}: {}", scorer.name, scorer.summary);

  CLI::App* score = llm.add_subcommand("score", "Choose candidates for every user and score them");
  add_shared_options(*score, *options);
  score->add_option("--scorer", options->scorer, "Who scores" + names)->required();
  score->add_option("--candidates", candidates.per_user, "Candidates of a user, the probe among them")
      ->capture_default_str();
  score
      ->add_option("--history", candidates.prompt_history,
                   "Training items before the probe that the scorer sees")
      ->capture_default_str();
  score->add_option("--seed", candidates.seed, "Seed of the candidates")->capture_default_str();
  score->callback([options] {
    const ScorerInfo& scorer = find_scorer(options->scorer);
    const Dataset data = load_dataset(options->data);
    const Split split = leave_one_out(data);
    const auto sets = plan_candidates(split, options->candidates);
    write_and_summarise(make_score_table(data, scorer.score(split, sets), scorer.name), split, *options);
  });
}

void add_import_command(CLI::App& llm) {
  const auto options = std::make_shared<LlmOptions>();
  CLI::App* convert = llm.add_subcommand("import", "Check a score file and write it in its canonical form");
  convert
      ->add_option("file", options->in, "Score file, TSV or JSON lines (user_id, item_id, score and probe)")
      ->required();
  add_shared_options(*convert, *options);
  convert->callback([options] {
    const Dataset data = load_dataset(options->data);
    const Split split = leave_one_out(data);
    write_and_summarise(read_scores(options->in, split), split, *options);
  });
}

}  // namespace

void add_llm_command(CLI::App& app) {
  CLI::App* llm = app.add_subcommand("llm", "Make and check tables of offline LLM scores");
  llm->require_subcommand(1);
  add_score_command(*llm);
  add_import_command(*llm);
}

}  // namespace sllmr
