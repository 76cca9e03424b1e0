// What importers fill: interactions and items in the order of the files, turned into a Dataset.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/data/dataset.h"
#include "host/data/line_reader.h"

namespace sllmr {

/// The interactions of one file.
class InteractionTable {
 public:
  /// Adds an interaction that stands in the current line of `reader`. Any unit of `time` will do.
  void add(const LineReader& reader, std::string_view user, std::string_view item, double time);

  /// Histories by time, equal times in file order; no texts. Empties the table. Throws Error when there are
  /// no interactions or when the same user, item and time come twice (the same user and item at different
  /// times are legal).
  Dataset build(const LineReader& reader, std::string name);

 private:
  struct Row {
    Id user, item;  // ids in file order
    double time;
    std::int64_t line;
  };

  void sort_by_user_and_time(const std::vector<std::int64_t>& history_offsets);
  void check_duplicates(const LineReader& reader, std::span<const Row> history) const;

  TokenMap users_, items_;
  std::vector<Row> rows_;
};

/// Titles and attributes of the items of a data set, in the order of an item file.
class ItemTable {
 public:
  explicit ItemTable(Dataset& data);

  /// Adds an item that stands in the current line of `reader`; items without interactions are skipped. White
  /// space in the title shrinks to single blanks and that of an attribute to underscores; text that is not
  /// UTF-8 is taken for Latin-1; repeated and empty attributes are dropped. Throws Error when the item was
  /// added before.
  void add(const LineReader& reader, std::string_view item, std::string_view title,
           std::span<const std::string_view> attributes);
  /// Writes titles, attributes and their vocabulary into the data set.
  void finish();

 private:
  Dataset& data_;
  TokenMap attributes_;                 // ids in file order
  std::vector<std::vector<Id>> lists_;  // by item
  std::vector<std::int64_t> lines_;     // by item, 0: not seen
};

}  // namespace sllmr
