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
    columns_.assign(fields_.begin(), fields_.end());
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

void DescribedRows::refuse_late_labels() {
  if (separator_.empty()) absent_.emplace(columns_, object_);
}

bool DescribedRows::next() {
  if (std::exchange(waiting_, false)) return true;
  std::string_view line;
  if (!reader_.next(line)) return false;
  parse(line);
  if (absent_) absent_->check(reader_, object_);
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
    if (!split_csv(line, separator_[0], unquoted_, fields_))
      reader_.fail("a quotation mark is not closed; correct the line");
  } else {
    split(line, separator_, fields_);
  }
  if (!columns_.empty()) reader_.check_fields(fields_.size(), columns_.size());
}

std::string_view DescribedRows::text(std::size_t column) const {
  return separator_.empty() ? object_.text(column) : fields_[column];
}

std::span<const std::string_view> DescribedRows::list(std::size_t column, const std::string& separator) {
  const bool array = separator_.empty() && object_.kind(column) == JsonObject::Kind::list;
  if (array || separator.empty()) {
    words_ = array ? object_.words(column) : split_list(text(column), false);
    values_.assign(words_.begin(), words_.end());
  } else {
    split(text(column), separator, values_);
    std::erase(values_, "");
  }
  return values_;
}

}  // namespace sllmr
