#include "host/data/described_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "host/base/json_text.h"
#include "host/data/csv.h"
#include "host/data/list_cell.h"
#include "host/data/python_literal.h"
#include "kernels/exec/error.h"

namespace sllmr {

DescribedRows::DescribedRows(const FileLayout& layout)
    : reader_(layout.path), separator_(layout.separator), columns_(layout.columns) {
  const std::string_view line = reader_.first();
  if (separator_.empty()) {
    parse(line);
    for (const auto& [key, value] : object_.items()) columns_.push_back(key);
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
    return columns_.size() - 1;
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
    std::optional<nlohmann::json> object = parse_json(line);
    if (!object) object = parse_json(python_to_json(line));
    if (!object || !object->is_object()) {
      reader_.fail(
          "not a JSON object or Python dictionary, nested too deep or cut off; correct the line, or tell the "
          "separator");
    }
    object_ = *std::move(object);
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

std::string_view DescribedRows::text(std::size_t column) {
  if (!separator_.empty()) return fields_[column];
  const auto value = object_.find(columns_[column]);
  if (value == object_.end() || value->is_null()) return "";
  if (value->is_string()) return value->get_ref<const std::string&>();
  text_ = json_text(*value);
  return text_;
}

std::vector<std::string> DescribedRows::list(std::size_t column, const std::string& separator) {
  if (separator_.empty()) {
    const auto value = object_.find(columns_[column]);
    if (value != object_.end() && value->is_array()) {
      std::vector<std::string> values;
      for (const nlohmann::json& each : *value) {
        if (each.is_string()) values.push_back(each.get<std::string>());
      }
      return values;
    }
  }
  const std::string cell(text(column));
  if (separator.empty()) return split_list(cell, false);
  std::vector<std::string_view> views;
  split(cell, separator, views);
  std::erase(views, "");
  return {views.begin(), views.end()};
}

}  // namespace sllmr
