#include "host/data/histories.h"

#include <utility>

namespace sllmr {

bool FirstHistories::is_first(Id user, Time time) const {
  const auto at = static_cast<std::size_t>(user);
  return at >= rows_.size() || rows_[at].place < 0 || time < rows_[at].time;
}

void FirstHistories::set(Id user, Time time, std::int64_t place, std::vector<Id> items) {
  const auto at = static_cast<std::size_t>(user);
  if (at >= rows_.size()) rows_.resize(at + 1);
  rows_[at] = {time, place, std::move(items)};
}

void FirstHistories::add_to(InteractionTable& table) const {
  for (std::size_t user = 0; user < rows_.size(); ++user) {
    const Row& row = rows_[user];
    Time time = row.time - static_cast<Time>(row.items.size());
    for (const Id item : row.items) table.add(row.place, static_cast<Id>(user), item, time++);
  }
}

}  // namespace sllmr
