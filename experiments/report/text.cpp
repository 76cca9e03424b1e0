#include "experiments/report/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "experiments/results/figures.h"
#include "host/guidance/registry.h"

namespace sllmr {

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t k = 0; k < row.size(); ++k) widths[k] = std::max(widths[k], row[k].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t k = 0; k < row.size(); ++k) {
      text += k == 0 ? fmt::format("{:<{}}", row[k], widths[k]) : fmt::format("  {:>{}}", row[k], widths[k]);
    }
    text += '\n';
  }
  return text;
}

std::string figures_text(const nlohmann::json& result) {
  std::vector<std::vector<std::string>> rows = {{"protocol " + result.at("protocol").get<std::string>()}};
  rows[0].insert(rows[0].end(), kSliceNames.begin(), kSliceNames.end());
  for (const auto& [name, value] : result.items()) {
    if (!value.is_object()) continue;
    std::vector<std::string> row = {name};
    for (const char* slice : kSliceNames) {
      const nlohmann::json& cell = value.at(slice);
      row.push_back(cell.is_number_integer() ? std::to_string(cell.get<long>())
                                             : figure_text(finite_number(cell)));
    }
    rows.push_back(std::move(row));
  }
  return aligned(rows);
}

namespace {
/// "15.2 M triples/s" or "40.1 k rows/s".
std::string rate_text(const nlohmann::json& summary) {
  if (summary.contains("triples_per_s")) {
    return fmt::format("{:.1f} M triples/s", summary.at("triples_per_s").get<double>() * 1e-6);
  }
  return fmt::format("{:.1f} k rows/s", summary.value("rows_per_s", 0.0) * 1e-3);
}
}  // namespace

std::string summary_text(const nlohmann::json& summary, const std::string& run_dir) {
  std::string text = figures_text(summary.at("test"));
  std::string guidance;
  for (const GuidanceColumn& column : guidance_columns({summary.at("method").get<std::string>()}, false)) {
    const std::optional<double> value = guidance_figure(summary, column);
    if (!value) continue;
    guidance += fmt::format("{}{} {}", guidance.empty() ? "" : ", ", column.title, figure_text(value));
  }
  if (!guidance.empty()) text += fmt::format("guidance: {}\n", guidance);
  const nlohmann::json& seconds = summary.at("seconds");
  text += fmt::format("{:.1f} s, {:.1f} s of them training ({}); run folder {}\n",
                      seconds.at("total").get<double>(), seconds.at("train").get<double>(),
                      rate_text(summary), run_dir);
  return text;
}

}  // namespace sllmr
