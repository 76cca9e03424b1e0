#include "experiments/experiment_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "experiments/runs.h"
#include "host/base/nearest.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// The places in `axes` of those that are asked for, in the order of the experiment.
std::vector<std::size_t> chosen(const std::vector<std::string>& names, const std::vector<TableAxis>& axes) {
  std::vector<std::string> known;
  for (const TableAxis& axis : axes) known.push_back(axis.name);
  for (const std::string& name : names) {
    require(std::ranges::find(known, name) != known.end(),
            fmt::format("the experiment has no '{}'; did you mean '{}'?", name, nearest_name(name, known)));
  }
  std::vector<std::size_t> places;
  for (std::size_t k = 0; k < axes.size(); ++k) {
    if (names.empty() || std::ranges::find(names, known[k]) != names.end()) places.push_back(k);
  }
  return places;
}

/// key=value words of a cell's runs; later ones win.
std::vector<std::string> overrides_of(const Experiment& experiment, const TableAxis& row,
                                      const TableAxis& column, const ExperimentChoice& choice) {
  std::vector<std::string> words = column.overrides;
  const auto add = [&words](const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
  };
  add(row.overrides);
  for (const CellRule& rule : experiment.rules) {
    if (rule.row == row.name && rule.column == column.name) add(rule.overrides);
  }
  add(choice.overrides);
  constexpr std::string_view kOwn[] = {"seed", "run_dir"};
  require_not_overridden(words, kOwn, "the columns' seeds, --seeds and --out");
  return words;
}

/// Sets what the table shows: a figure, or else a number somewhere in the summaries, which only a run can
/// tell to be there.
void show_metric(const std::string& metric, RunPlan& plan) {
  const std::vector<FigureName> known = figure_names(plan.runs);
  const bool of_test = metric.starts_with("test.") && std::ranges::count(metric, '.') > 1;
  std::optional<FigureName> name = find_figure(metric, known);
  if (!name && of_test) name = require_figure(metric, known, "metric of the experiment");
  if (!name) {
    name = FigureName{metric};
    plan.summary_path = metric;
  }
  plan.table.shown = {{*name, metric}};
}

}  // namespace

RunPlan plan_experiment(const Experiment& experiment, const ExperimentChoice& choice) {
  RunPlan plan;
  plan.out = choice.out.empty() ? experiment.out : choice.out;
  plan.inputs = {experiment.recipe};
  ResultTable& table = plan.table;
  table.title = experiment.title;
  table.recipe = experiment.recipe;
  const std::vector<std::size_t> rows = chosen(choice.rows, experiment.rows),
                                 columns = chosen(choice.columns, experiment.columns);
  for (const std::size_t c : columns) table.columns.push_back(experiment.columns[c].name);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const TableAxis& row = experiment.rows[rows[r]];
    table.rows.push_back(row.name);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const TableAxis& column = experiment.columns[columns[c]];
      if (!row.reference.empty()) table.published.push_back({r, c, row.reference[columns[c]]});
      const std::vector<std::int64_t>& seeds = choice.seeds.empty() ? column.seeds : choice.seeds;
      require_distinct(seeds, "seeds");
      std::vector<std::string> words = overrides_of(experiment, row, column, choice);
      words.resize(words.size() + 2);
      for (const std::int64_t seed : seeds) {
        words[words.size() - 2] = fmt::format("seed={}", seed);
        words.back() = fmt::format("run_dir={}/{}_{}_{}", plan.out, row.name, column.name, seed);
        plan.runs.push_back({r, c, load_config(experiment.recipe, words)});
      }
    }
  }
  show_metric(experiment.metric, plan);
  return plan;
}

}  // namespace sllmr
