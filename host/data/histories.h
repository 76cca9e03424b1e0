// Files whose rows say what the user took before them, without times: the history of each user's earliest row
// counts as interactions right before it.
#pragma once

#include <cstdint>
#include <vector>

#include "host/base/time_value.h"
#include "host/data/tables.h"

namespace sllmr {

/// The history of each user's earliest row so far. Files need not have it first.
class FirstHistories {
 public:
  /// Whether the user has no row before `time` yet; of two at the same time the first is the earliest.
  bool is_first(Id user, Time time) const;
  /// Of the row at `place` (InteractionTable::place()), which is_first(): `items` (InteractionTable::item()),
  /// oldest first.
  void set(Id user, Time time, std::int64_t place, std::vector<Id> items);
  /// Adds all to `table`, at the last moments before their rows.
  void add_to(InteractionTable& table) const;

 private:
  struct Row {
    Time time = 0;
    std::int64_t place = -1;  // none
    std::vector<Id> items;
  };
  std::vector<Row> rows_;  // by user
};

}  // namespace sllmr
