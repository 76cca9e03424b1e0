#include "experiments/results/markdown.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace sllmr {
namespace {

template <class Value>
void add_distinct(std::vector<Value>& values, const Value& value) {
  if (std::ranges::find(values, value) == values.end()) values.push_back(value);
}

/// "| a | b |" with the line that makes it the header.
std::string header(const std::vector<std::string>& titles) {
  std::string rule = "|";
  for (std::size_t k = 0; k < titles.size(); ++k) rule += "---|";
  return fmt::format("| {} |\n{}\n", fmt::join(titles, " | "), rule);
}

/// columns_markdown() of one figure.
std::string columns_of(const ResultTable& table, std::size_t figure) {
  const FigureName& name = table.shown[figure].name;
  std::vector<std::string> titles = {""};
  for (const std::string& column : table.columns) {
    titles.push_back(column);
    if (!table.published.empty()) titles.insert(titles.end(), {"published", "difference"});
  }
  std::string text = header(titles);
  double distance = 0;
  int cells = 0;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    text += fmt::format("| {} |", table.rows[row]);
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      const Spread spread = table.spread(row, column, name);
      text += fmt::format(" {} |", to_text(spread));
      if (table.published.empty()) continue;
      const std::optional<double> published = table.published_at(row, column, figure);
      if (!published || spread.n == 0) {
        text += fmt::format(" {} | - |", figure_text(published));
        continue;
      }
      const double difference = spread.mean - *published;
      text += fmt::format(" {} | {:+.4f} |", figure_text(published), difference);
      distance += std::fabs(difference);
      ++cells;
    }
    text += "\n";
  }
  text += "\n";
  if (cells > 0)
    text += fmt::format("mean absolute difference {:.4f} over {} cells\n", distance / cells, cells);
  return text;
}

}  // namespace

std::string figures_markdown(const ResultTable& table) {
  std::vector<std::string> titles = {"method"};
  const auto has_difference = [&](const ShownFigure& shown) {
    return table.baseline.has_value() && table.rows.size() > 1 && is_cost_of_run(shown.name);
  };
  for (const ShownFigure& shown : table.shown) {
    titles.push_back(shown.title);
    if (has_difference(shown)) titles.push_back("over " + table.rows[*table.baseline]);
  }
  std::string text = header(titles);
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    text += "| " + table.rows[row];
    for (const ShownFigure& shown : table.shown) {
      text += " | " + to_text(table.spread(row, 0, shown.name));
      if (!has_difference(shown)) continue;
      text += " | " + (row == table.baseline ? "-" : to_signed_text(table.over_baseline(row, 0, shown.name)));
    }
    text += " |\n";
  }
  std::vector<std::string> protocols;
  std::vector<std::uint64_t> seeds;
  for (const RunResult& run : table.runs) {
    add_distinct(protocols, run.protocol);
    add_distinct(seeds, run.seed);
  }
  return text + fmt::format("\nprotocol {}, mean ± standard deviation over seeds {}; {}\n",
                            fmt::join(protocols, " and "), fmt::join(seeds, ", "), provenance_text(table));
}

std::string columns_markdown(const ResultTable& table) {
  std::string text = table.title + "\n";
  std::vector<std::string> shown;
  for (std::size_t figure = 0; figure < table.shown.size(); ++figure) {
    shown.push_back(table.shown[figure].title);
    if (table.shown.size() > 1) text += fmt::format("\n{}\n", shown.back());
    text += "\n" + columns_of(table, figure);
  }
  return text + fmt::format("{} of {}, mean ± standard deviation over seeds; {}\n", fmt::join(shown, ", "),
                            table.recipe, provenance_text(table));
}

std::string provenance_text(const ResultTable& table) {
  // In the order of their first run, each once.
  std::vector<std::pair<std::string, std::vector<std::string>>> parts = {
      {"data ", {}},    {"features ", {}}, {"texts ", {}},  {"scores ", {}},
      {"vectors ", {}}, {"gate ", {}},     {"commit ", {}}, {"", {}}};
  for (const RunResult& run : table.runs) {
    const std::string values[] = {run.data_hash,    run.feature_hash, run.text_hash, run.scores_hash,
                                  run.vectors_hash, run.gate_hash,    run.commit,    run.machine.dump()};
    for (std::size_t part = 0; part < parts.size(); ++part) {
      if (!values[part].empty()) add_distinct(parts[part].second, values[part]);
    }
  }
  std::string text;
  for (const auto& [name, values] : parts) {
    if (values.empty()) continue;
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", name, fmt::join(values, " and "));
  }
  return text;
}

}  // namespace sllmr
