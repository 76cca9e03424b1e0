// An experiment: a table of runs as a TOML file (experiments/recipes/table2_none.toml is one).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sllmr {

/// A row or a column of the table.
struct TableAxis {
  std::string name;
  std::vector<std::string> overrides;
  std::vector<std::int64_t> seeds = {};  // of a column
  std::vector<double> reference = {};    // of a row: what was published, by column; or empty
};
/// What is set for one cell only.
struct CellRule {
  std::string row, column;
  std::vector<std::string> overrides;
};
struct Experiment {
  std::string title, recipe, metric, out;
  std::vector<TableAxis> columns, rows;
  std::vector<CellRule> rules;
};

/// Throws Error naming file and fault for malformed TOML, a key that is unknown, missing or of another type,
/// references that are not one finite number a column, and a cell of no row or column.
Experiment read_experiment(const std::string& path);

}  // namespace sllmr
