#include "host/data/histories.h"

namespace sllmr {

void EarliestRows::look_at(std::string_view user, Time time, std::int64_t row) {
  const Id id = users_.add(user);
  if (id == static_cast<Id>(rows_.size()))
    rows_.push_back({time, row});
  else if (id != 0 && time < rows_[id].time)  // 0: there is no user, which the table tells
    rows_[id] = {time, row};
}

void add_history(InteractionTable& table, const LineReader& reader, std::string_view user,
                 std::span<const std::string> items, Time time) {
  time -= static_cast<Time>(items.size());
  for (const std::string& item : items) table.add(reader, user, item, time++);
}

}  // namespace sllmr
