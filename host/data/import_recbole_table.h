// RecBole atomic files as tables: tab-separated, with a header that names and types the columns.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/line_reader.h"

namespace sllmr {

/// A RecBole file: reads the header, then rows of as many fields.
class AtomicTable {
 public:
  struct Column {
    std::string name, type;
  };

  /// Throws Error for a header that is not name:type of a known type, or that has a name twice.
  explicit AtomicTable(const std::string& path);

  /// Index of the first of `names` that is a column, or -1.
  template <class Names>
  int find(const Names& names) const {
    for (const std::string_view name : names) {
      const auto column = std::ranges::find(columns_, name, &Column::name);
      if (column != columns_.end()) return static_cast<int>(column - columns_.begin());
    }
    return -1;
  }
  /// As find(); Error when there is none.
  template <class Names>
  std::size_t require_column(const Names& names) const {
    const int column = find(names);
    if (column < 0) {
      reader_.fail(fmt::format("the header has no column {}; add it as name:type", fmt::join(names, " or ")));
    }
    return static_cast<std::size_t>(column);
  }

  /// Moves to the next row; false at the end. Throws Error for one of another number of fields.
  bool next();
  /// A field of the row, valid until the next one.
  std::string_view operator[](std::size_t column) const { return fields_[column]; }
  const std::vector<Column>& columns() const { return columns_; }
  /// Names of the columns that are none of `used`.
  std::vector<std::string> others(std::span<const std::size_t> used) const;
  const LineReader& reader() const { return reader_; }

 private:
  LineReader reader_;
  std::vector<Column> columns_;
  std::vector<std::string_view> fields_;
};

}  // namespace sllmr
