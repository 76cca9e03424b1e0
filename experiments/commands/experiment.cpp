// `sllmr experiment run`: a table of the paper, cell by cell.
#include "experiments/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <string>

#include "experiments/commands/flags.h"
#include "experiments/experiment_file.h"
#include "experiments/experiment_plan.h"
#include "experiments/results/markdown.h"
#include "experiments/run_table.h"

namespace sllmr {
namespace {

struct ExperimentOptions {
  std::string path;
  ExperimentChoice choice;
  bool force = false;
  std::string shard = kWholeTable;
};

void run_experiment(const ExperimentOptions& options) {
  RunPlan plan = plan_experiment(read_experiment(options.path), options.choice);
  plan.inputs.push_back(options.path);
  plan.force = options.force;
  plan.shard = Shard::parse(options.shard);
  const ResultTable table = run_table(plan, [&plan](const RunResult& run) {
    fmt::print(stderr, "{} {} seed {}: {} ({:.0f} s)\n", plan.table.rows[run.row],
               plan.table.columns[run.column], run.seed, figure_text(run.figure(plan.table.shown[0].name)),
               run.seconds);
  });
  fmt::print("{}", columns_markdown(table));
}

}  // namespace

void add_experiment_command(CLI::App& app) {
  const auto options = std::make_shared<ExperimentOptions>();
  ExperimentChoice& choice = options->choice;
  CLI::App* command = app.add_subcommand("experiment", "Tables of runs");
  command->require_subcommand(1);
  CLI::App* run = command->add_subcommand(
      "run", "Run every cell of a table and print it (finished runs are kept, stopped ones go on)");
  run->add_option("experiment", options->path, "A table of runs (TOML)")
      ->required()
      ->check(CLI::ExistingFile);
  run->add_option("overrides", choice.overrides, "key=value for every run");
  run->add_option("--rows", choice.rows, "Only these rows, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  run->add_option("--columns", choice.columns, "Only these columns, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  run->add_option("--seeds", choice.seeds, "Instead of the columns' own, separated by commas")
      ->delimiter(',')
      ->check(number_in(0, std::numeric_limits<int>::max()))
      ->allow_extra_args(false);
  run->add_option("--out", choice.out,
                  "Folder for the run folders and results.json (default: the experiment's)");
  run->add_flag("--fast", choice.fast, "Only what the experiment's [fast] names, in a folder of its own");
  run->add_flag("--force", options->force, "Replace a results.json of other content");
  add_shard_option(*run, options->shard);
  run->callback([options] { run_experiment(*options); });
}

}  // namespace sllmr
