// An experiment: a table of runs as a TOML file (experiments/recipes/table2_none.toml is one).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sllmr {

/// A row or a column of the table.
struct TableAxis {
  std::string name;
  std::vector<std::string> overrides;
  std::vector<std::int64_t> seeds = {};  // of a column
  std::vector<double> reference = {};    // of a row: what was published, by metric and column; or empty
};
/// What is set for one cell only.
struct CellRule {
  std::string row, column;
  std::vector<std::string> overrides;
};
/// What is left of an experiment that is to be over soon. Empty: all.
struct FastPart {
  std::vector<std::string> rows, columns, overrides;
  std::vector<std::int64_t> seeds;
};
struct Experiment {
  std::string title, recipe, out;
  std::string runs;  // folder of the run folders, which experiments may share; empty: `out`
  std::vector<std::string> metrics;
  std::vector<TableAxis> columns, rows;
  std::vector<CellRule> rules;
  std::optional<FastPart> fast;
};

/// Throws Error naming file and fault for malformed TOML, a key that is unknown, missing or of another type,
/// references that are not one finite number a metric and column, and a cell of no row or column.
Experiment read_experiment(const std::string& path);

}  // namespace sllmr
