#include "experiments/experiment_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include "experiments/run_settings.h"
#include "experiments/runs.h"
#include "host/base/nearest.h"
#include "host/runs/run_inputs.h"
#include "host/runs/training.h"
#include "host/train/unused_keys.h"
#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"

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

void require_names_of_their_own(std::vector<std::string> names, const char* what) {
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  require(twice == names.end(), fmt::format("two {} are called '{}': give them names of their own", what,
                                            twice == names.end() ? "" : *twice));
}

/// What --fast stands for; the command line wins.
ExperimentChoice fast_choice(const Experiment& experiment, ExperimentChoice choice) {
  require(experiment.fast.has_value(), "--fast: the experiment has no [fast] that says what it leaves out");
  const FastPart& fast = *experiment.fast;
  if (choice.rows.empty()) choice.rows = fast.rows;
  if (choice.columns.empty()) choice.columns = fast.columns;
  if (choice.seeds.empty()) choice.seeds = fast.seeds;
  choice.overrides.insert(choice.overrides.begin(), fast.overrides.begin(), fast.overrides.end());
  choice.fast = false;
  return choice;
}

/// The settings of an experiment: those of the columns, of the rows, of the cells, of the command line.
class ExperimentSettings {
 public:
  ExperimentSettings(const Experiment& experiment, const ExperimentChoice& choice) : experiment_(experiment) {
    const bool whole = choice.rows.empty() && choice.columns.empty();
    for (const TableAxis& column : experiment.columns) {
      add(fmt::format("column '{}'", column.name), column.overrides, whole);
    }
    for (const TableAxis& row : experiment.rows) add(fmt::format("row '{}'", row.name), row.overrides, whole);
    for (const CellRule& rule : experiment.rules) {
      add(fmt::format("cell of '{}' and '{}'", rule.row, rule.column), rule.overrides, whole);
    }
    add(kCommandLine, choice.overrides, true);
  }
  /// Those of a cell, later ones win.
  std::vector<std::size_t> of(std::size_t row, std::size_t column) const {
    const std::size_t n_columns = experiment_.columns.size(), n_rows = experiment_.rows.size();
    std::vector<std::size_t> places = {column, n_columns + row};
    for (std::size_t k = 0; k < experiment_.rules.size(); ++k) {
      const CellRule& rule = experiment_.rules[k];
      if (rule.row == experiment_.rows[row].name && rule.column == experiment_.columns[column].name) {
        places.push_back(n_columns + n_rows + k);
      }
    }
    places.push_back(all.size() - 1);
    return places;
  }

  std::vector<Settings> all;

 private:
  void add(std::string where, const std::vector<std::string>& words, bool must_be_used) {
    constexpr std::string_view kOwn[] = {"seed", "run_dir"};
    require_not_overridden(words, kOwn, "the columns' seeds, --seeds and --out");
    all.push_back({std::move(where), words, must_be_used});
  }

  const Experiment& experiment_;
};

/// Where every experiment that asks for this run finds it: named after what it is made of, whatever the table
/// calls it.
std::string shared_folder(const std::string& runs, const Config& config) {
  const Config decides = decisive(config), usual;
  std::vector<std::string_view> ignored;
  const std::vector<UnusedKey> unused = unused_keys(config);
  for (const UnusedKey& each : unused) ignored.push_back(each.key);
  Fnv<std::uint64_t> hash;
  // What is as usual is left out, so that a key that comes to be renames no folder.
  for (const ConfigKeyInfo& each : config_keys()) {
    if (std::ranges::find(ignored, each.key) != ignored.end()) continue;
    const std::string value = value_text(decides, each.key);
    if (value != value_text(usual, each.key)) hash.add_bytes(fmt::format("{}={}\n", each.key, value));
  }
  return fmt::format("{}/{}_{}_{}_{}_{:016x}", runs, config.model.name, config.method,
                     std::filesystem::path(config.data.path).filename().string(), config.seed, hash.value());
}

/// Has the table show one more thing: a figure, or another number of the summaries.
void show_metric(const std::string& metric, RunPlan& plan) {
  std::vector<FigureName> known = figure_names(plan.runs);
  if (!find_figure(metric, known)) {
    const std::size_t figures = known.size();
    for (const PlannedRun& run : plan.runs) {
      for (const std::string& path : summary_numbers(run.config)) known.push_back({path});
    }
    if (find_figure(metric, std::span(known).subspan(figures))) plan.summary_paths.push_back(metric);
  }
  show_figure(plan.table, metric, known, "metric of the experiment");
}

}  // namespace

RunPlan plan_experiment(const Experiment& experiment, const ExperimentChoice& choice) {
  RunPlan plan;
  if (choice.fast) {
    Experiment part = experiment;
    part.out += "-fast";
    return plan_experiment(part, fast_choice(experiment, choice));
  }
  plan.out = choice.out.empty() ? experiment.out : choice.out;
  plan.inputs = {experiment.recipe};
  ResultTable& table = plan.table;
  table.title = experiment.title;
  table.recipe = experiment.recipe;
  const std::vector<std::size_t> rows = chosen(choice.rows, experiment.rows),
                                 columns = chosen(choice.columns, experiment.columns);
  for (const std::size_t c : columns) table.columns.push_back(experiment.columns[c].name);
  require_names_of_their_own(table.columns, "columns");
  const ExperimentSettings settings(experiment, choice);
  std::vector<RunSettings> told;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const TableAxis& row = experiment.rows[rows[r]];
    table.rows.push_back(row.name);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const TableAxis& column = experiment.columns[columns[c]];
      for (std::size_t figure = 0; figure < experiment.metrics.size() && !row.reference.empty(); ++figure) {
        const std::size_t at = figure * experiment.columns.size() + columns[c];
        table.published.push_back({r, c, figure, row.reference[at]});
      }
      const std::vector<std::int64_t>& seeds = choice.seeds.empty() ? column.seeds : choice.seeds;
      require_distinct(seeds, "seeds");
      for (const std::int64_t seed : seeds) {
        told.push_back({settings.of(rows[r], columns[c]),
                        {fmt::format("seed={}", seed),
                         fmt::format("run_dir={}/{}_{}_{}", plan.out, row.name, column.name, seed)}});
        plan.runs.push_back({r, c, {}});
      }
    }
  }
  require_names_of_their_own(table.rows, "rows");
  const std::vector<Config> configs = load_runs(experiment.recipe, settings.all, told);
  for (std::size_t k = 0; k < configs.size(); ++k) {
    Config& config = plan.runs[k].config = configs[k];
    // --out asks for a table that stands alone.
    if (!experiment.runs.empty() && choice.out.empty())
      config.run_dir = shared_folder(experiment.runs, config);
  }
  require_distinct(experiment.metrics, "metric");
  for (const std::string& metric : experiment.metrics) show_metric(metric, plan);
  return plan;
}

}  // namespace sllmr
