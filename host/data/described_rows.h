// Rows of a delimited or JSON-lines file whose columns somebody has told: what import_described.cpp reads.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/line_reader.h"
#include "host/data/json_object.h"
#include "host/data/row_filter.h"

namespace sllmr {

/// How a file is written.
struct FileLayout {
  std::string path;
  std::string separator;             // empty: a JSON object (or Python dictionary) a line
  std::vector<std::string> columns;  // of a delimited file without a header
};

/// One pass over a file. Throws Error naming file, line and remedy for a line that is not as the others.
class DescribedRows {
 public:
  explicit DescribedRows(const FileLayout& layout);

  /// Of a delimited file all of them, of JSON lines the keys of the first.
  const std::vector<std::string>& columns() const { return columns_; }
  /// The number of a column that must be there. JSON keys of later lines are found where they are.
  std::size_t column(const std::string& name);
  /// From now on labels that come later than in the first line of JSON are an Error, see AbsentLabels.
  void refuse_late_labels();
  bool next();
  /// Of the row that next() has come to: the text in a column, of JSON a number's or truth value's; empty
  /// where there is none.
  std::string_view text(std::size_t column) const;
  /// The values of a column that holds a list, until the next call: an array of JSON, or text split at
  /// `separator`, which is as split_list() finds it where it is empty.
  std::span<const std::string_view> list(std::size_t column, const std::string& separator);

  const LineReader& reader() const { return reader_; }

 private:
  void parse(std::string_view line);

  LineReader reader_;
  std::string separator_;
  std::vector<std::string> columns_;
  std::vector<std::string_view> fields_;
  std::string unquoted_;  // see split_csv()
  JsonObject object_;     // columns in the order of columns_
  std::vector<std::string> words_;
  std::vector<std::string_view> values_;  // of list()
  std::optional<AbsentLabels> absent_;
  bool waiting_ = false;  // the first row was looked at
};

}  // namespace sllmr
