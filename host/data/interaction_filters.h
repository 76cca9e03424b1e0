// What is left out of the interactions of a data set after they were read: by time, and of users and items
// with few of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/base/time_value.h"
#include "host/data/import.h"
#include "host/data/importer.h"

namespace sllmr {

/// An interaction as a file has it.
struct InteractionRow {
  Time time;           // 0: none; first, as it is aligned to 16 bytes
  std::int64_t place;  // 4 times the line, counted on from file to file, plus the part
  Id user, item;       // ids in file order

  std::int64_t line() const { return place / 4; }
  Part part() const { return static_cast<Part>(place % 4); }
};
static_assert(sizeof(InteractionRow) == sizeof(Time) + 16, "most of what reading takes is rows");

/// Takes the rows out that data.from and data.to, and then data.core of `options` leave out, and appends one
/// line to `notes` for each of the two that leaves out any. User and item ids are below `user_rows` and
/// `item_rows`; `path` is where the rows come from. The order of the rows stays. True where any has gone.
/// Throws Error where none is left.
bool filter_interactions(std::vector<InteractionRow>& rows, Id user_rows, Id item_rows,
                         const ImportOptions& options, const std::string& path,
                         std::vector<std::string>& notes);

}  // namespace sllmr
