// A table of runs as a value: rows x columns x seeds, and in each cell the runs' figures and what made them.
// Commands fill it; results_file.h stores it; markdown.h and plain_text.h show it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/figures.h"
#include "host/config/config.h"

namespace sllmr {

/// A finished run.
struct RunResult {
  std::size_t row = 0, column = 0;  // of the table
  std::uint64_t seed = 0;
  std::string folder;
  std::string data_hash, feature_hash, text_hash, scores_hash, vectors_hash,
      gate_hash;  // 16 hex digits; empty: not read
  std::string commit;
  nlohmann::json machine;  // {"cpu", "cores", "gpu"}
  std::string device;      // cpu or cuda
  int threads = 0;
  double seconds = 0;  // from its start to its end
  std::string config;  // TOML, every key
  std::string protocol;
  std::vector<Figure> figures;

  /// Nothing too where the run has no figure of that name.
  std::optional<double> figure(const FigureName& name) const;
};
/// From the summary of a run of `config`; row and column are left to the caller.
RunResult run_result(const nlohmann::json& summary, const Config& config);

/// A figure that renderers show.
struct ShownFigure {
  FigureName name;
  std::string title;
};

/// AUC of every slice, the first columns of tables of methods.
std::vector<ShownFigure> auc_by_slice();

/// What somebody else published for a cell: a value of one of the table's shown figures.
struct Published {
  std::size_t row, column, figure;
  double value;
};

struct ResultTable {
  std::string title, recipe;
  std::vector<std::string> rows, columns;  // names
  std::vector<ShownFigure> shown;
  std::vector<RunResult> runs;  // by row, column and seed; those that are finished
  std::vector<Published> published;
  std::optional<std::size_t> baseline;  // the row of the backbone alone, over which costs are shown
  bool complete = false;                // no run is missing

  /// Over the seeds of a cell.
  Spread spread(std::size_t row, std::size_t column, const FigureName& name) const;
  /// How much more than the baseline, which the table must have: over the seeds that both have.
  Spread over_baseline(std::size_t row, std::size_t column, const FigureName& name) const;
  std::optional<double> published_at(std::size_t row, std::size_t column, std::size_t figure) const;
};

}  // namespace sllmr
