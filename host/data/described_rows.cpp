#include "host/data/described_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "host/data/csv.h"
#include "host/data/list_cell.h"
#include "kernels/exec/error.h"

namespace sllmr {

DescribedRows::DescribedRows(const FileLayout& layout)
    : reader_(layout.path), separator_(layout.separator), columns_(layout.columns) {
  const std::string_view line = reader_.first();
  if (separator_.empty()) {
    parse(line);
    columns_ = object_.keys();
    for (const std::string& key : columns_) object_.column(key);
    waiting_ = true;
  } else if (columns_.empty()) {
    parse(line);
    columns_ = fields_;
  } else {
    parse(line);
    waiting_ = true;
  }
}

std::size_t DescribedRows::column(const std::string& name) {
  const auto found = std::ranges::find(columns_, name);
  if (found == columns_.end() && separator_.empty()) {
    columns_.push_back(name);
    return object_.column(name);
  }
  require(found != columns_.end(), fmt::format("{}: there is no column '{}'; there are {}", reader_.path(),
                                               name, fmt::join(columns_, ", ")));
  return static_cast<std::size_t>(found - columns_.begin());
}

bool DescribedRows::next() {
  if (std::exchange(waiting_, false)) return true;
  std::string_view line;
  if (!reader_.next(line)) return false;
  parse(line);
  return true;
}

void DescribedRows::parse(std::string_view line) {
  if (separator_.empty()) {
    if (!object_.parse(line)) {
      reader_.fail(
          "not a JSON object or Python dictionary, nested too deep or cut off; correct the line, or tell the "
          "separator");
    }
    return;
  }
  if (separator_.size() == 1) {
    if (!split_csv(line, separator_[0], fields_))
      reader_.fail("a quotation mark is not closed; correct the line");
  } else {
    std::vector<std::string_view> views;
    split(line, separator_, views);
    fields_.assign(views.begin(), views.end());
  }
  if (!columns_.empty()) reader_.check_fields(fields_.size(), columns_.size());
}

std::string_view DescribedRows::text(std::size_t column) const {
  return separator_.empty() ? object_.text(column) : fields_[column];
}

std::vector<std::string> DescribedRows::list(std::size_t column, const std::string& separator) const {
  if (separator_.empty() && object_.kind(column) == JsonObject::Kind::list) return object_.words(column);
  const std::string cell(text(column));
  if (separator.empty()) return split_list(cell, false);
  std::vector<std::string_view> views;
  split(cell, separator, views);
  std::erase(views, "");
  return {views.begin(), views.end()};
}

}  // namespace sllmr
