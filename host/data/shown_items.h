// Items that users were shown and did not take: the negatives that some data bring along.
#pragma once

#include <cstdint>
#include <vector>

#include "host/base/time_value.h"
#include "host/data/dataset.h"
#include "host/data/importer.h"
#include "host/data/interaction_filters.h"

namespace sllmr {

/// Beside which interactions of a user something was shown.
struct ShownBeside {
  Part part = Part::train;  // of this part alone: nobody knows in training what is shown in the test
  Time first, last;         // those from `first` to `last`
  bool only_one = false;    // ... where there is one: of several it is not known beside which
};

/// Shown items in the order of a file, with the ids of its InteractionTable.
class ShownItems {
 public:
  void add(Id user, Id item, const ShownBeside& beside);
  bool empty() const { return shown_.empty(); }
  std::int64_t size() const { return static_cast<std::int64_t>(shown_.size()); }

  /// User k is ids[k] from now on; 0: not a user any more.
  void renumber_users(const std::vector<Id>& ids);
  /// Forgets the items k that are not known[k].
  void keep_items(const std::vector<std::uint8_t>& known);

  /// Dataset::negatives of the interactions `rows`, by user (first_row [users + 1]) and in the order of
  /// Dataset::history, still with the table's ids, which are below `item_rows`. What was taken at the same
  /// time is no negative, and nothing is one twice.
  void assign(const std::vector<InteractionRow>& rows, const std::vector<std::int64_t>& first_row,
              Id item_rows, Dataset& data) const;

 private:
  /// Items of one row of a file, or of some like it.
  struct Group {
    ShownBeside beside;
    Id user;
    std::size_t end;  // of its items
  };
  class Assigning;

  std::vector<Group> groups_;
  std::vector<Id> shown_;
};

}  // namespace sllmr
