#include "host/guidance/judged.h"

#include <algorithm>
#include <limits>

namespace sllmr {

Judged::Judged(const ScoreTable& table, const std::function<float(float)>& of_score)
    : offsets_(table.offsets) {
  by_item_.reserve(table.items.size());
  for (std::size_t k = 0; k < table.items.size(); ++k) {
    by_item_.emplace_back(table.items[k], of_score ? of_score(table.scores[k]) : table.scores[k]);
  }
  for (std::size_t user = 0; user + 1 < offsets_.size(); ++user) {
    std::sort(by_item_.begin() + offsets_[user], by_item_.begin() + offsets_[user + 1]);
  }
}

float Judged::score(Id user, Id item) const {
  const auto begin = by_item_.begin() + offsets_[static_cast<std::size_t>(user)],
             end = by_item_.begin() + offsets_[static_cast<std::size_t>(user) + 1];
  const auto found = std::ranges::lower_bound(begin, end, item, {}, &std::pair<Id, float>::first);
  if (found == end || found->first != item) return std::numeric_limits<float>::quiet_NaN();
  return found->second;
}

}  // namespace sllmr
