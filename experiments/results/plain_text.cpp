#include "experiments/results/plain_text.h"

#include <fmt/format.h>

#include "experiments/report/text.h"

namespace sllmr {

std::string plain_text(const ResultTable& table) {
  std::vector<std::vector<std::string>> lines = {{"method"}};
  for (const ShownFigure& shown : table.shown) lines[0].push_back(shown.title);
  lines[0].emplace_back("seconds");
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    std::vector<std::string> line = {table.rows[row]};
    for (const ShownFigure& shown : table.shown) line.push_back(to_text(table.spread(row, 0, shown.name)));
    std::vector<std::optional<double>> seconds;
    for (const RunResult& run : table.runs) {
      if (run.row == row) seconds.emplace_back(run.seconds);
    }
    line.push_back(seconds.empty() ? "-" : fmt::format("{:.1f}", spread_of(seconds).mean));
    lines.push_back(std::move(line));
  }
  return aligned(lines);
}

}  // namespace sllmr
