#include "host/text/decision_texts.h"

#include <fmt/format.h>

#include <string_view>

#include "host/data/dataset.h"

namespace sllmr {

std::vector<std::string> decision_texts(const Dataset& data, std::span<const FeatureRow> rows,
                                        std::span<const std::int8_t> labels, int max_history) {
  std::vector<std::string> texts;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    std::vector<std::string_view> titles;
    for (const Id item : data.history_before(rows[k].user, rows[k].position, max_history)) {
      const std::string_view title = data.titles[static_cast<std::size_t>(item)];
      if (!title.empty()) titles.push_back(title);
    }
    const std::string bought =
        titles.empty() ? "" : fmt::format("The user bought {}. ", fmt::join(titles, "; "));
    texts.push_back(fmt::format("{}The user {} {}.", bought, labels[k] != 0 ? "buys" : "does not buy",
                                data.titles[static_cast<std::size_t>(rows[k].item)]));
  }
  return texts;
}

}  // namespace sllmr
