#include "experiments/commands/experiment.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/commands/flags.h"
#include "experiments/report/text.h"
#include "experiments/runs.h"
#include "host/config/nearest.h"
#include "host/text_file.h"
#include "host/toml_text.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// A row or a column of the table.
struct Axis {
  std::string name;
  std::vector<std::string> overrides;
  std::vector<std::int64_t> seeds;  // of a column
  std::vector<double> reference;    // of a row: what was published, by column; or empty
};
struct CellRule {
  std::string row, column;
  std::vector<std::string> overrides;
};
struct Experiment {
  std::string title, recipe, metric, out;
  std::vector<Axis> columns, rows;
  std::vector<CellRule> rules;
};

/// Reads one TOML table of the experiment; every key is known or an error.
class Reader {
 public:
  Reader(std::string path, const toml::table& table, std::vector<std::string> keys)
      : path_(std::move(path)), table_(table) {
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      require(std::ranges::find(keys, name) != keys.end(),
              fmt::format("{}:{}: unknown key '{}'; did you mean '{}'?", path_, node.source().begin.line,
                          name, nearest_name(name, keys)));
    }
  }

  std::string text(const char* key) const {
    const auto value = table_[key].value<std::string>();
    require(value.has_value() && !value->empty(), missing(key, "a string"));
    return *value;
  }
  template <class Element>
  std::vector<Element> list(const char* key) const {
    std::vector<Element> out;
    if (!table_.contains(key)) return out;
    const toml::array* array = table_[key].as_array();
    require(array != nullptr, missing(key, "an array"));
    for (const toml::node& node : *array) {
      const auto value = node.value<Element>();
      require(value.has_value(), missing(key, "an array of one type"));
      out.push_back(*value);
    }
    return out;
  }

 private:
  std::string missing(const char* key, const char* what) const {
    return fmt::format("{}:{}: '{}' must be {}", path_, table_.source().begin.line, key, what);
  }
  std::string path_;
  const toml::table& table_;
};

template <class Function>
void for_each_table(const toml::table& table, const char* key, const std::string& path, Function&& function) {
  const toml::array* array = table[key].as_array();
  if (array == nullptr) return;
  for (const toml::node& node : *array) {
    require(node.is_table(), fmt::format("{}: '{}' must be tables: [[{}]]", path, key, key));
    function(*node.as_table());
  }
}

Experiment read_experiment(const std::string& path) {
  const toml::table table = parse_toml(read_text_file(path, "the experiment"), path);
  Experiment out;
  const Reader top(path, table, {"title", "recipe", "metric", "out", "column", "row", "cell"});
  out.title = top.text("title");
  out.recipe = top.text("recipe");
  out.metric = top.text("metric");
  out.out = top.text("out");
  for_each_table(table, "column", path, [&](const toml::table& each) {
    const Reader reader(path, each, {"name", "set", "seeds"});
    out.columns.push_back(
        {reader.text("name"), reader.list<std::string>("set"), reader.list<std::int64_t>("seeds"), {}});
    require(!out.columns.back().seeds.empty(),
            fmt::format("{}: column '{}' has no seeds", path, out.columns.back().name));
  });
  for_each_table(table, "row", path, [&](const toml::table& each) {
    const Reader reader(path, each, {"name", "set", "reference"});
    out.rows.push_back(
        {reader.text("name"), reader.list<std::string>("set"), {}, reader.list<double>("reference")});
    require(out.rows.back().reference.empty() || out.rows.back().reference.size() == out.columns.size(),
            fmt::format("{}: row '{}' has {} reference figures for {} columns", path, out.rows.back().name,
                        out.rows.back().reference.size(), out.columns.size()));
  });
  const auto known = [&](const std::vector<Axis>& axes, const std::string& name) {
    require(std::ranges::find(axes, name, &Axis::name) != axes.end(),
            fmt::format("{}: a [[cell]] names '{}', which is no row or column", path, name));
  };
  for_each_table(table, "cell", path, [&](const toml::table& each) {
    const Reader reader(path, each, {"row", "column", "set"});
    out.rules.push_back({reader.text("row"), reader.text("column"), reader.list<std::string>("set")});
    known(out.rows, out.rules.back().row);
    known(out.columns, out.rules.back().column);
  });
  require(!out.rows.empty() && !out.columns.empty(),
          fmt::format("{}: needs a [[row]] and a [[column]]", path));
  return out;
}

/// The value at a dotted path of a summary.
nlohmann::json value_at(const nlohmann::json& summary, const std::string& path) {
  std::string pointer = "/" + path;
  std::ranges::replace(pointer, '.', '/');
  require(pointer.find('~') == pointer.npos, fmt::format("metric '{}': a run's summary has no '~'", path));
  const nlohmann::json::json_pointer at(pointer);
  require(summary.contains(at) && (summary.at(at).is_number() || summary.at(at).is_null()),
          fmt::format("a run's summary has no number '{}' (metric of the experiment)", path));
  return summary.at(at);
}

struct ExperimentOptions {
  std::string path, out;
  std::vector<std::string> overrides, rows, columns;
  std::vector<std::int64_t> seeds;
};

/// One run of a cell of the table.
struct Cell {
  const Axis *row, *column;
  Config run;
  RunInputs inputs = {};
};

bool wanted(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::ranges::find(names, name) != names.end();
}

void check_wanted(const std::vector<std::string>& names, const std::vector<Axis>& axes) {
  std::vector<std::string> known;
  for (const Axis& axis : axes) known.push_back(axis.name);
  for (const std::string& name : names) {
    require(wanted(known, name),
            fmt::format("the experiment has no '{}'; did you mean '{}'?", name, nearest_name(name, known)));
  }
}

/// Every run that was asked for, row by row; checked before any is trained.
std::vector<Cell> plan_runs(const Experiment& experiment, const ExperimentOptions& options) {
  const std::string out = options.out.empty() ? experiment.out : options.out;
  constexpr std::string_view kOwn[] = {"seed", "run_dir"};
  std::vector<Cell> plan;
  std::vector<Config> runs;
  for (const Axis& row : experiment.rows) {
    if (!wanted(options.rows, row.name)) continue;
    for (const Axis& column : experiment.columns) {
      if (!wanted(options.columns, column.name)) continue;
      std::vector<std::string> overrides = column.overrides;
      overrides.insert(overrides.end(), row.overrides.begin(), row.overrides.end());
      for (const CellRule& cell : experiment.rules) {
        if (cell.row != row.name || cell.column != column.name) continue;
        overrides.insert(overrides.end(), cell.overrides.begin(), cell.overrides.end());
      }
      overrides.insert(overrides.end(), options.overrides.begin(), options.overrides.end());
      require_not_overridden(overrides, kOwn, "the columns' seeds, --seeds and --out");
      const std::vector<std::int64_t>& seeds = options.seeds.empty() ? column.seeds : options.seeds;
      require_distinct(seeds, "seeds");
      for (const std::int64_t seed : seeds) {
        std::vector<std::string> words = overrides;
        words.push_back(fmt::format("seed={}", seed));
        words.push_back(fmt::format("run_dir={}/{}_{}_{}", out, row.name, column.name, seed));
        runs.push_back(load_config(experiment.recipe, words));
        plan.push_back({&row, &column, runs.back()});
      }
    }
  }
  const std::vector<RunInputs> inputs = check_runs(runs);
  for (std::size_t k = 0; k < plan.size(); ++k) plan[k].inputs = inputs[k];
  return plan;
}

void run_experiment(const ExperimentOptions& options) {
  const Experiment experiment = read_experiment(options.path);
  check_wanted(options.rows, experiment.rows);
  check_wanted(options.columns, experiment.columns);
  const std::vector<Cell> plan = plan_runs(experiment, options);
  const bool with_reference =
      std::ranges::any_of(experiment.rows, [](const Axis& row) { return !row.reference.empty(); });

  std::vector<std::size_t> columns;
  for (std::size_t c = 0; c < experiment.columns.size(); ++c) {
    if (wanted(options.columns, experiment.columns[c].name)) columns.push_back(c);
  }
  std::string table = "|  |", rule = "|---|";
  for (const std::size_t c : columns) {
    table += fmt::format(" {} |", experiment.columns[c].name);
    rule += "---|";
    if (!with_reference) continue;
    table += " published | difference |";
    rule += "---|---|";
  }
  table += "\n" + rule + "\n";
  double distance = 0;
  int cells = 0;
  std::vector<nlohmann::json> summaries;
  for (const Axis& row : experiment.rows) {
    if (!wanted(options.rows, row.name)) continue;
    table += "| " + row.name + " |";
    for (const std::size_t c : columns) {
      const Axis& column = experiment.columns[c];
      std::vector<nlohmann::json> values;
      for (const Cell& cell : plan) {
        if (cell.row != &row || cell.column != &column) continue;
        summaries.push_back(run_once(cell.run, cell.inputs));
        const nlohmann::json& summary = summaries.back();
        values.push_back(value_at(summary, experiment.metric));
        fmt::print(stderr, "{} {} seed {}: {} ({:.0f} s)\n", row.name, column.name, cell.run.seed,
                   figure(values.back()), summary.at("seconds").at("total").get<double>());
      }
      const Spread spread = spread_of(values);
      table += " " + to_text(spread) + " |";
      if (!with_reference) continue;
      if (row.reference.empty()) {
        table += " - | - |";
        continue;
      }
      const double difference = spread.mean - row.reference[c];
      table += fmt::format(" {:.4f} | {:+.4f} |", row.reference[c], difference);
      distance += std::fabs(difference);
      ++cells;
    }
    table += "\n";
  }
  fmt::print("{}\n\n{}\n", experiment.title, table);
  if (cells > 0) fmt::print("mean absolute difference {:.4f} over {} cells\n", distance / cells, cells);
  fmt::print("{} of {}, mean ± standard deviation over seeds; {}\n", experiment.metric, experiment.recipe,
             provenance_text(summaries));
}

}  // namespace

void add_experiment_command(CLI::App& app) {
  const auto options = std::make_shared<ExperimentOptions>();
  CLI::App* command = app.add_subcommand("experiment", "Tables of runs");
  command->require_subcommand(1);
  CLI::App* run = command->add_subcommand(
      "run", "Run every cell of a table and print it (finished runs are kept, stopped ones go on)");
  run->add_option("experiment", options->path, "A table of runs (TOML)")
      ->required()
      ->check(CLI::ExistingFile);
  run->add_option("overrides", options->overrides, "key=value for every run");
  run->add_option("--rows", options->rows, "Only these rows, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  run->add_option("--columns", options->columns, "Only these columns, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  run->add_option("--seeds", options->seeds, "Instead of the columns' own, separated by commas")
      ->delimiter(',')
      ->check(number_in(0, std::numeric_limits<int>::max()))
      ->allow_extra_args(false);
  run->add_option("--out", options->out, "Folder for the run folders (default: the experiment's)");
  run->callback([options] { run_experiment(*options); });
}

}  // namespace sllmr
