// Files whose rows say what the user took before them, without times: the history of each user's earliest row
// counts as interactions right before it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/dataset.h"
#include "host/data/tables.h"

namespace sllmr {

/// The earliest row of each user. Files need not have it first.
class EarliestRows {
 public:
  /// Rows are numbered by the caller; of two at the same time the first is the earliest.
  void look_at(std::string_view user, Time time, std::int64_t row);
  bool contain(std::string_view user, std::int64_t row) const { return rows_[users_.find(user)].row == row; }

 private:
  struct Row {
    Time time;
    std::int64_t row;
  };
  TokenMap users_;
  std::vector<Row> rows_{{0, -1}};  // by user
};

/// Adds `items`, oldest first, at the last moments before `time`, that of the current line of `reader`.
void add_history(InteractionTable& table, const LineReader& reader, std::string_view user,
                 std::span<const std::string> items, Time time);

}  // namespace sllmr
