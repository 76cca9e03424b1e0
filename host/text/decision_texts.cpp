#include "host/text/decision_texts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "host/data/dataset.h"

namespace sllmr {

std::string bought_text(const Dataset& data, const FeatureRow& row, int max_history) {
  std::vector<std::string_view> titles;
  for (const Id item : data.history_before(row.user, row.position, max_history)) {
    const std::string_view title = data.titles[static_cast<std::size_t>(item)];
    if (!title.empty()) titles.push_back(title);
  }
  return titles.empty() ? "" : fmt::format("The user bought {}.", fmt::join(titles, "; "));
}

std::string decision_text(const Dataset& data, Id item, bool label) {
  return fmt::format("The user {} {}.", label ? "buys" : "does not buy",
                     data.titles[static_cast<std::size_t>(item)]);
}

std::vector<std::string> decision_texts(const Dataset& data, std::span<const FeatureRow> rows,
                                        std::span<const std::int8_t> labels, int max_history) {
  std::vector<std::string> texts;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const std::string bought = bought_text(data, rows[k], max_history);
    texts.push_back(bought + (bought.empty() ? "" : " ") + decision_text(data, rows[k].item, labels[k] != 0));
  }
  return texts;
}

}  // namespace sllmr
