#include "experiments/results/result_table.h"

#include <algorithm>

#include "host/guidance/gate_module.h"
#include "host/guidance/registry.h"
#include "models/registry.h"

namespace sllmr {

std::optional<double> RunResult::figure(const FigureName& name) const {
  const auto found = std::ranges::find(figures, name, &Figure::name);
  return found == figures.end() ? std::nullopt : found->value;
}

RunResult run_result(const nlohmann::json& summary, const Config& config) {
  RunResult run;
  run.seed = config.seed;
  run.folder = config.run_dir;
  const BackboneInfo* backbone = find_backbone(config.model.name);
  const bool reads_scores = summary.contains("llm");
  const bool reads_table = reads_scores && summary["llm"].contains("leakage");
  run.data_hash = summary.at("data_hash");
  if (backbone != nullptr && backbone->reads_attributes) run.feature_hash = summary.value("feature_hash", "");
  const bool reads_vectors = reads_of(config).vectors, reads_file = config.llm.encoder == "file";
  if ((reads_scores && !reads_table) || (reads_vectors && !reads_file)) {
    run.text_hash = summary.value("text_hash", "");
  }
  if ((reads_vectors && reads_file) || !written_files_of(config).empty())
    run.vectors_hash = summary.value("vectors_hash", "");
  if (!gate_files(config).empty()) run.gate_hash = summary.value("gate_hash", "");
  if (reads_scores) run.scores_hash = summary.value("scores_hash", "");
  run.commit = summary.at("commit");
  run.machine = summary.at("machine");
  run.device = summary.at("device");
  run.threads = summary.at("threads");
  run.seconds = summary.at("seconds").at("total");
  run.config = summary.at("config");
  run.protocol = summary.at("test").at("protocol");
  run.figures = figures_of(summary);
  return run;
}

std::vector<ShownFigure> auc_by_slice() {
  std::vector<ShownFigure> shown;
  for (const char* slice : kSliceNames) {
    shown.push_back({{"auc", slice}, shown.empty() ? std::string("AUC ") + slice : slice});
  }
  return shown;
}

Spread ResultTable::spread(std::size_t row, std::size_t column, const FigureName& name) const {
  std::vector<std::optional<double>> values;
  for (const RunResult& run : runs) {
    if (run.row == row && run.column == column) values.push_back(run.figure(name));
  }
  return spread_of(values);
}

Spread ResultTable::over_baseline(std::size_t row, std::size_t column, const FigureName& name) const {
  std::vector<std::optional<double>> differences;
  for (const RunResult& run : runs) {
    if (run.row != row || run.column != column) continue;
    for (const RunResult& base : runs) {
      if (base.row != baseline || base.column != column || base.seed != run.seed) continue;
      const std::optional<double> value = run.figure(name), without = base.figure(name);
      if (value && without) differences.emplace_back(*value - *without);
    }
  }
  return spread_of(differences);
}

std::optional<double> ResultTable::published_at(std::size_t row, std::size_t column,
                                                std::size_t figure) const {
  for (const Published& each : published) {
    if (each.row == row && each.column == column && each.figure == figure) return each.value;
  }
  return std::nullopt;
}

}  // namespace sllmr
