// Items that users were shown and did not take: the negatives that some data bring along.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/base/time_value.h"
#include "host/data/dataset.h"
#include "host/data/interaction_filters.h"

namespace sllmr {

/// Shown items in the order of a file, with the ids of its InteractionTable.
class ShownItems {
 public:
  /// `item` is a negative of what `user` took from `first` to `last`.
  void add(Id user, Id item, Time first, Time last);
  bool empty() const { return shown_.empty(); }

  /// User k is ids[k] from now on; 0: not a user any more.
  void renumber_users(const std::vector<Id>& ids);
  /// Forgets the items k that are not known[k].
  void keep_items(const std::vector<std::uint8_t>& known);

  /// Dataset::negative_offsets and negatives of the interactions `rows`, by user (first_row [users + 1]) and
  /// in the order of Dataset::history, still with the table's ids. A row's own item is none of its negatives.
  /// Returns how many of the shown items are negatives of nothing.
  std::int64_t assign(const std::vector<InteractionRow>& rows, const std::vector<std::int64_t>& first_row,
                      Dataset& data) const;

 private:
  /// Items of one row of a file, or of some like it.
  struct Group {
    Time first, last;
    Id user;
    std::size_t end;  // of its items
  };

  std::vector<Group> groups_;
  std::vector<Id> shown_;
};

}  // namespace sllmr
