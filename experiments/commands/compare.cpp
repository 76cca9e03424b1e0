// `sllmr compare`.
#include "experiments/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "experiments/commands/flags.h"
#include "experiments/results/markdown.h"
#include "experiments/run_table.h"
#include "experiments/runs.h"
#include "host/config/config.h"
#include "host/guidance/registry.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

struct CompareOptions {
  std::string recipe, out;
  std::vector<std::string> overrides, methods = {"none", "global", "hinge", "agreement"}, metrics;
  std::vector<int> seeds = {1, 2, 3};
  bool force = false;
};

/// AUC by slice, ranking quality or calibration, and what guidance tells: those of them that are known.
std::vector<ShownFigure> usual_figures(const CompareOptions& options, std::span<const FigureName> known) {
  std::vector<ShownFigure> shown = auc_by_slice();
  shown.push_back({{"ndcg@10"}, "NDCG@10"});
  shown.push_back({{"log_loss"}, "log-loss"});
  std::erase_if(
      shown, [&](const ShownFigure& figure) { return std::ranges::find(known, figure.name) == known.end(); });
  for (const GuidanceColumn& column : guidance_columns(options.methods, true)) {
    shown.push_back({guidance_name(column), column.title});
  }
  return shown;
}

/// Methods by row, in one column, by seed.
RunPlan plan_comparison(const CompareOptions& options) {
  RunPlan plan;
  plan.table.title = "Methods of " + options.recipe;
  plan.table.recipe = options.recipe;
  plan.table.rows = options.methods;
  plan.table.columns = {std::filesystem::path(options.recipe).stem().string()};
  plan.out = options.out;
  plan.inputs = {options.recipe};
  plan.force = options.force;
  for (std::size_t row = 0; row < options.methods.size(); ++row) {
    const std::string& method = options.methods[row];
    for (const int seed : options.seeds) {
      std::vector<std::string> overrides = options.overrides;
      overrides.insert(overrides.end(), {"method=" + method, fmt::format("seed={}", seed),
                                         fmt::format("run_dir={}/{}_{}", options.out, method, seed)});
      plan.runs.push_back({row, 0, load_config(options.recipe, overrides)});
    }
  }
  const std::vector<FigureName> known = figure_names(plan.runs);
  for (const std::string& metric : options.metrics) {
    plan.table.shown.push_back({require_figure(metric, known, "--metric"), metric});
  }
  if (options.metrics.empty()) {
    plan.table.shown = usual_figures(options, known);
  }
  return plan;
}

void compare(const CompareOptions& options) {
  constexpr std::string_view kOwn[] = {"method", "seed", "run_dir"};
  require_not_overridden(options.overrides, kOwn, "--methods, --seeds and --out");
  require(!options.out.empty(), "--out: name a folder");
  require_distinct(options.methods, "--methods");
  require_distinct(options.seeds, "--seeds");
  if (!options.metrics.empty()) require_distinct(options.metrics, "--metric");
  fmt::print("{}", figures_markdown(run_table(plan_comparison(options), [](const RunResult&) {})));
}

}  // namespace

void add_compare_command(CLI::App& app) {
  const auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand(
      "compare", "Run methods x seeds of one recipe and print a table (finished runs are kept)");
  command->add_option("recipe", options->recipe, "A recipe (TOML)")->required();
  command->add_option("overrides", options->overrides, "key=value for every run");
  command->add_option("--methods", options->methods, "Words that method= takes, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--seeds", options->seeds, "Seeds, separated by commas")
      ->delimiter(',')
      ->check(number_in(0, std::numeric_limits<int>::max()))
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      ->add_option("--metric", options->metrics,
                   "Columns of the table, separated by commas: ndcg@20 (of all rows), auc.cold, "
                   "guidance.mean_alpha (default: AUC, NDCG@10 or log-loss, and what guidance tells)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--out", options->out, "Folder for the run folders and results.json")->required();
  command->add_flag("--force", options->force, "Replace a results.json of other content");
  command->callback([options] { compare(*options); });
}

}  // namespace sllmr
