#include "host/data/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

bool is_utf8(std::string_view text) {
  std::uint32_t code = 0, smallest = 0;
  int missing = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (missing > 0) {
      if ((byte & 0xC0) != 0x80) return false;
      code = code << 6 | (byte & 0x3Fu);
      const bool surrogate = code >= 0xD800 && code < 0xE000;
      if (--missing == 0 && (code < smallest || surrogate || code > 0x10FFFF)) return false;
    } else if (byte >= 0x80) {
      if (byte < 0xC0 || byte > 0xF7) return false;
      missing = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
      code = byte & (0x3Fu >> missing);
      smallest = missing == 1 ? 0x80 : missing == 2 ? 0x800 : 0x10000;
    }
  }
  return missing == 0;
}

/// The text in UTF-8, each run of blanks and control characters replaced by one `blank`, none at the ends.
std::string clean_text(std::string_view text, char blank) {
  const bool latin1 = !is_utf8(text);
  std::string clean;
  bool pending = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7F) {
      pending = !clean.empty();
      continue;
    }
    if (pending) clean += blank;
    pending = false;
    if (latin1 && byte >= 0x80) {
      clean += static_cast<char>(0xC0 | (byte >> 6));
      clean += static_cast<char>(0x80 | (byte & 0x3F));
    } else {
      clean += c;
    }
  }
  return clean;
}

/// Adds the token of a user or an item (`what`), which must be fit for a field of a text file.
Id add_token(const LineReader& reader, TokenMap& vocabulary, std::string_view token, const char* what) {
  const Id next = vocabulary.rows();
  const Id id = vocabulary.add(token);
  if (id == 0) reader.fail(fmt::format("the {} id is empty; correct or delete the line", what));
  if (id == next && token.find_first_of("\t\r\n") != token.npos) {
    reader.fail(
        fmt::format("the {} id '{}' holds a tab or line end; correct or delete the line", what, token));
  }
  return id;
}

}  // namespace

void InteractionTable::add(const LineReader& reader, std::string_view user, std::string_view item,
                           double time) {
  const Id user_id = add_token(reader, users_, user, "user");
  const Id item_id = add_token(reader, items_, item, "item");
  rows_.push_back({user_id, item_id, time, reader.line_number()});
}

void InteractionTable::sort_by_user_and_time(const std::vector<std::int64_t>& history_offsets) {
  std::vector<Row> sorted(rows_.size());
  std::vector<std::int64_t> next(history_offsets);
  for (const Row& row : rows_) sorted[next[row.user]++] = row;
  rows_ = std::move(sorted);
  for (Id user = 1; user < users_.rows(); ++user) {
    const auto first = rows_.begin() + history_offsets[user],
               last = rows_.begin() + history_offsets[user + 1];
    const auto earlier = [](const Row& a, const Row& b) { return a.time < b.time; };
    if (!std::is_sorted(first, last, earlier)) std::stable_sort(first, last, earlier);
  }
}

void InteractionTable::check_duplicates(const LineReader& reader, std::span<const Row> history) const {
  std::vector<Row> same_time;
  for (std::size_t begin = 0, end; begin < history.size(); begin = end) {
    end = begin + 1;
    while (end < history.size() && history[end].time == history[begin].time) ++end;
    if (end == begin + 1) continue;
    same_time.assign(history.begin() + begin, history.begin() + end);
    std::ranges::stable_sort(same_time, {}, &Row::item);
    const auto twin = std::ranges::adjacent_find(same_time, {}, &Row::item);
    if (twin == same_time.end()) continue;
    throw Error(fmt::format(
        "{}:{}: user '{}', item '{}' and time are those of line {}; delete one of the lines", reader.path(),
        twin[1].line, users_.token(twin->user), items_.token(twin->item), twin->line));
  }
}

Dataset InteractionTable::build(const LineReader& reader, std::string name) {
  if (rows_.empty()) reader.fail("there are no interactions; copy or create the file again");
  Dataset data;
  data.name = std::move(name);
  data.source = reader.path();
  data.history_offsets.assign(users_.rows() + 1, 0);
  for (const Row& row : rows_) ++data.history_offsets[row.user + 1];
  std::partial_sum(data.history_offsets.begin(), data.history_offsets.end(), data.history_offsets.begin());
  sort_by_user_and_time(data.history_offsets);
  for (Id user = 1; user < users_.rows(); ++user) {
    const std::int64_t begin = data.history_offsets[user], end = data.history_offsets[user + 1];
    check_duplicates(reader, std::span(rows_).subspan(begin, end - begin));
  }

  std::vector<Id> item_ids(items_.rows(), 0);
  data.history.reserve(rows_.size());
  for (const Row& row : rows_) {
    Id& id = item_ids[row.item];
    if (id == 0) id = data.items.add(items_.token(row.item));
    data.history.push_back(id);
  }
  data.users = std::move(users_);
  data.titles.resize(data.items.rows());
  data.attribute_offsets.assign(data.items.rows() + 1, 0);
  data.hash = content_hash(data);
  *this = {};
  return data;
}

ItemTable::ItemTable(Dataset& data) : data_(data), lists_(data.items.rows()), lines_(data.items.rows(), 0) {}

void ItemTable::add(const LineReader& reader, std::string_view item, std::string_view title,
                    std::span<const std::string_view> attributes) {
  if (item.empty()) reader.fail("the item id is empty; correct or delete the line");
  const Id id = data_.items.find(item);
  if (id == 0) return;
  if (lines_[id] != 0) {
    reader.fail(
        fmt::format("item '{}' is described in line {} already; delete one of the lines", item, lines_[id]));
  }
  lines_[id] = reader.line_number();
  data_.titles[id] = clean_text(title, ' ');
  for (const std::string_view attribute : attributes) {
    const Id added = attributes_.add(clean_text(attribute, '_'));
    if (added != 0 && std::ranges::find(lists_[id], added) == lists_[id].end()) lists_[id].push_back(added);
  }
}

void ItemTable::finish() {
  for (Id item = 1; item < data_.items.rows(); ++item) {
    for (const Id attribute : lists_[item]) {
      data_.item_attributes.push_back(data_.attributes.add(attributes_.token(attribute)));
    }
    data_.attribute_offsets[item + 1] = static_cast<std::int64_t>(data_.item_attributes.size());
  }
}

}  // namespace sllmr
