// `sllmr compare`.
#include "experiments/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <memory>

#include "experiments/commands/flags.h"
#include "experiments/comparison.h"
#include "experiments/results/markdown.h"

namespace sllmr {

void add_compare_command(CLI::App& app) {
  const auto options = std::make_shared<Comparison>();
  CLI::App* command = app.add_subcommand(
      "compare", "Run methods x seeds of one recipe and print a table (finished runs are kept)");
  command->add_option("recipe", options->recipe, "A recipe (TOML)")->required();
  command->add_option("overrides", options->overrides, "key=value for every run that has a use for the key");
  command
      ->add_option(
          "--methods", options->methods,
          "Rows, separated by commas: words that method= takes, each with settings of its own or without: "
          "none,agreement,agreement:llm.lambda=0.5:gate.lr=0.1")
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--seeds", options->seeds, "Seeds, separated by commas")
      ->delimiter(',')
      ->check(number_in(0, std::numeric_limits<int>::max()))
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option("--metrics", options->metrics,
                   "Columns of the table, separated by commas: ndcg@20 (of all rows), auc.cold, "
                   "guidance.mean_alpha (default: AUC, NDCG@10 or log-loss, and what guidance tells)")
      ->allow_extra_args(false);
  command->add_option("--out", options->out, "Folder for the run folders and results.json")->required();
  command->add_flag("--force", options->force, "Replace a results.json of other content");
  add_shard_option(*command, options->shard);
  command->callback([options] {
    fmt::print("{}", figures_markdown(run_table(plan_comparison(*options), [](const RunResult&) {})));
  });
}

}  // namespace sllmr
