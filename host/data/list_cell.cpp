#include "host/data/list_cell.h"

#include <algorithm>
#include <optional>

#include "host/base/line_reader.h"
#include "host/base/trim.h"

namespace sllmr {
namespace {

bool is_quote(char c) {
  return c == '\'' || c == '"';
}

/// Reads a list that begins with a quote or a bracket; nothing where the cell is no such list after all
/// ('47 Brand, [PIAS]).
class ListParser {
 public:
  explicit ListParser(std::string_view cell) : cell_(cell) {}

  std::optional<std::vector<std::string>> parse() {
    while (skip_separators()) {
      std::optional<std::string> value;
      if (is_quote(cell_[at_]) && !(value = quoted())) return std::nullopt;
      if (!value) value = bare();
      if (!value->empty()) values_.push_back(std::move(*value));
    }
    if (depth_ != 0 || broken_) return std::nullopt;
    return std::move(values_);
  }

 private:
  /// To the next value; false at the end.
  bool skip_separators() {
    for (; at_ < cell_.size(); ++at_) {
      const char c = cell_[at_];
      if (c == '[') {
        ++depth_;
      } else if (c == ']') {
        if (--depth_ < 0) broken_ = true;
      } else if (c != ' ' && c != ',') {
        return true;
      }
    }
    return false;
  }

  /// Whether what follows position `k`, behind a quote, may follow a value.
  bool ends_value(std::size_t k) const {
    const std::size_t next = cell_.find_first_not_of(' ', k);
    if (next == cell_.npos) return true;
    const char c = cell_[next];
    return c == ',' || (c == ']' && depth_ > 0) || (is_quote(c) && next > k);
  }

  std::optional<std::string> quoted() {
    const char quote = cell_[at_];
    std::string value;
    for (std::size_t k = at_ + 1; k < cell_.size(); ++k) {
      const char c = cell_[k];
      const char next = k + 1 < cell_.size() ? cell_[k + 1] : '\0';
      if (c == '\\' && (is_quote(next) || next == '\\')) {
        value += next;
        ++k;
      } else if (c != quote) {
        value += c;
      } else if (next == quote) {
        value += quote;
        ++k;
      } else if (ends_value(k + 1)) {
        at_ = k + 1;
        return value;
      } else {
        value += c;
      }
    }
    return std::nullopt;
  }

  std::string bare() {
    const std::size_t end = std::min(cell_.find_first_of(depth_ > 0 ? ",[]" : ",", at_), cell_.size());
    const std::string_view value = trim(cell_.substr(at_, end - at_));
    at_ = end;
    return std::string(value);
  }

  std::string_view cell_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool broken_ = false;
  std::vector<std::string> values_;
};

bool is_bracketed(std::string_view cell) {
  return cell.starts_with('[') && cell.ends_with(']');
}

}  // namespace

std::vector<std::string> split_list(std::string_view cell, bool words) {
  cell = trim(cell);
  if (cell.empty()) return {};
  if (is_quote(cell.front()) || is_bracketed(cell)) {
    if (auto values = ListParser(cell).parse()) return std::move(*values);
  }
  if (!words) return {std::string(cell)};
  const std::string_view separator = cell.find('|') != cell.npos    ? "|"
                                     : cell.find(", ") != cell.npos ? ", "
                                                                    : " ";
  std::vector<std::string_view> fields;
  split(cell, separator, fields);
  std::vector<std::string> values;
  for (const std::string_view field : fields) {
    if (const std::string_view value = trim(field); !value.empty()) values.emplace_back(value);
  }
  return values;
}

std::string join_list(std::span<const std::string_view> values, bool words) {
  std::string plain;
  for (const std::string_view value : values) {
    if (!plain.empty()) plain += ' ';
    plain += value;
  }
  if (std::ranges::equal(split_list(plain, words), values)) return plain;
  std::string quoted;
  for (const std::string_view value : values) {
    if (!quoted.empty()) quoted += ", ";
    quoted += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    quoted += '"';
  }
  return quoted;
}

}  // namespace sllmr
