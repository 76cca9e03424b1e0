#include "host/data/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "kernels/exec/error.h"

namespace sllmr {
void InteractionTable::fail(std::int64_t place, std::string_view message) const {
  const File& file = file_of(place);
  throw Error(fmt::format("{}:{}: {}", file.path, place - file.lines_before, message));
}

Id InteractionTable::add_token(std::int64_t place, TokenMap& vocabulary, std::string_view token,
                               std::uint32_t hash, const char* what) const {
  const Id next = vocabulary.rows();
  const Id id = vocabulary.add(token, hash);
  if (id == 0) fail(place, fmt::format("the {} id is empty; correct or delete the line", what));
  if (id == next && token.find_first_of("\t\r\n") != token.npos) {
    fail(place,
         fmt::format("the {} id '{}' holds a tab or line end; correct or delete the line", what, token));
  }
  return id;
}

void InteractionTable::add(const LineReader& reader, std::string_view user, std::string_view item,
                           std::optional<Time> time, Part part) {
  constexpr std::size_t kTogether = 32;
  const Waiting row{waiting_text_.size(),
                    waiting_text_.size() + user.size(),
                    waiting_text_.size() + user.size() + item.size(),
                    TokenMap::hash_of(user),
                    TokenMap::hash_of(item),
                    place(reader),
                    time,
                    part};
  users_.prefetch(row.user_hash);
  items_.prefetch(row.item_hash);
  waiting_text_ += user;
  waiting_text_ += item;
  waiting_.push_back(row);
  if (waiting_.size() == kTogether) add_waiting();
}

void InteractionTable::add_waiting() {
  for (const Waiting& row : waiting_) {
    users_.prefetch_token(row.user_hash);
    items_.prefetch_token(row.item_hash);
  }
  const std::string_view text = waiting_text_;
  for (const Waiting& row : waiting_) {
    const Id user =
        add_token(row.place, users_, text.substr(row.user, row.item - row.user), row.user_hash, "user");
    const Id item =
        add_token(row.place, items_, text.substr(row.item, row.end - row.item), row.item_hash, "item");
    add(row.place, user, item, row.time, row.part);
  }
  waiting_.clear();
  waiting_text_.clear();
}

Id InteractionTable::user(const LineReader& reader, std::string_view token) {
  return add_token(place(reader), users_, token, TokenMap::hash_of(token), "user");
}

Id InteractionTable::item(const LineReader& reader, std::string_view token) {
  return add_token(place(reader), items_, token, TokenMap::hash_of(token), "item");
}

std::int64_t InteractionTable::place(const LineReader& reader) {
  if (files_.empty() || files_.back().path != reader.path()) files_.push_back({reader.path(), last_place_});
  return last_place_ = files_.back().lines_before + reader.line_number();
}

void InteractionTable::add(std::int64_t place, Id user, Id item, std::optional<Time> time, Part part) {
  const auto at = static_cast<std::size_t>(part);
  timed_[at] = time.has_value();
  rows_.push_back({time.value_or(Time{0}), 4 * place + static_cast<std::int64_t>(part), user, item});
}

const InteractionTable::File& InteractionTable::file_of(std::int64_t line) const {
  return *std::prev(std::ranges::lower_bound(files_, line, {}, &File::lines_before));
}

std::string InteractionTable::where(const InteractionRow& row) const {
  const File& file = file_of(row.line());
  return fmt::format("{}:{}", file.path, row.line() - file.lines_before);
}

void InteractionTable::count_rows() {
  first_row_.assign(users_.rows() + 1, 0);
  for (const InteractionRow& row : rows_) ++first_row_[row.user + 1];
  std::partial_sum(first_row_.begin(), first_row_.end(), first_row_.begin());
}

void InteractionTable::sort_by_user_and_time(bool given) {
  count_rows();
  std::vector<InteractionRow> sorted(rows_.size());
  std::vector<std::int64_t> next(first_row_);
  for (const InteractionRow& row : rows_) sorted[next[row.user]++] = row;
  rows_ = std::move(sorted);
  for (Id user = 1; user < users_.rows(); ++user) {
    const auto first = rows_.begin() + first_row_[user], last = rows_.begin() + first_row_[user + 1];
    const auto earlier = [given](const InteractionRow& a, const InteractionRow& b) {
      if (given && a.part() != b.part()) return a.part() < b.part();
      return a.time < b.time;
    };
    if (!std::is_sorted(first, last, earlier)) std::stable_sort(first, last, earlier);
  }
}

void InteractionTable::treat_duplicates(Dataset& data, Duplicates duplicates, bool given) {
  std::vector<std::uint8_t> dropped(rows_.size(), 0);
  std::vector<std::size_t> order;
  std::int64_t repeated = 0;
  std::string first_pair;
  for (Id user = 1; user < users_.rows(); ++user) {
    const auto begin = static_cast<std::size_t>(first_row_[user]),
               end = static_cast<std::size_t>(first_row_[user + 1]);
    const auto history = std::span(rows_).subspan(begin, end - begin);
    if (!given && std::ranges::adjacent_find(history, {}, &InteractionRow::time) == history.end()) continue;
    order.resize(end - begin);
    std::iota(order.begin(), order.end(), begin);
    // Rows of a user are by time and then in file order, so twins end up side by side in file order.
    std::ranges::stable_sort(order, {},
                             [&](std::size_t k) { return std::pair(rows_[k].item, rows_[k].time); });
    for (std::size_t k = 1; k < order.size(); ++k) {
      const InteractionRow &row = rows_[order[k - 1]], &twin = rows_[order[k]];
      const bool timed = is_timed(row) && is_timed(twin);
      if (row.item != twin.item || (timed && row.time != twin.time)) continue;
      const auto pair = [&] {
        return fmt::format("{}: user '{}'{} item '{}'{} are those of {}", where(twin),
                           users_.token(twin.user), timed ? "," : " and", items_.token(twin.item),
                           timed ? " and time" : "",
                           &file_of(row.line()) == &file_of(twin.line())
                               ? fmt::format("line {}", row.line() - file_of(row.line()).lines_before)
                               : where(row));
      };
      if (given && row.part() != twin.part() && duplicates != Duplicates::keep) {
        throw Error(
            pair() +
            ", so what is tested was trained on; delete one of the lines, or set data.duplicates=keep");
      }
      if (repeated++ == 0) first_pair = pair();
      dropped[duplicates == Duplicates::last ? order[k - 1] : order[k]] = 1;
    }
  }
  if (repeated == 0 || duplicates == Duplicates::keep) return;
  if (duplicates == Duplicates::error) {
    throw Error(
        fmt::format("{}; {} such row{} in all: set data.duplicates to first, last or keep, or delete {}",
                    first_pair, repeated, repeated == 1 ? "" : "s", repeated == 1 ? "it" : "them"));
  }
  const auto total = rows_.size();
  const bool timed = std::ranges::find(timed_, true) != timed_.end();
  std::size_t kept = 0;
  for (std::size_t k = 0; k < rows_.size(); ++k) {
    if (dropped[k] == 0) rows_[kept++] = rows_[k];
  }
  rows_.resize(kept);
  count_rows();
  data.notes.push_back(
      fmt::format("note: {}: {} of {} rows repeat {} of another; the {} is kept (data.duplicates={})",
                  data.source, repeated, total, timed ? "user, item and time" : "user and item",
                  duplicates == Duplicates::first ? "first" : "last",
                  duplicates == Duplicates::first ? "first" : "last"));
}

std::vector<HeldOut> InteractionTable::held_out() const {
  std::vector<HeldOut> held(users_.rows());
  std::vector<const InteractionRow*> before(users_.rows());  // the user's row of the part
  for (const InteractionRow& row : rows_) {
    if (row.part() == Part::train) continue;
    const bool test = row.part() == Part::test;
    bool& mark = test ? held[row.user].test : held[row.user].validation;
    if (mark) {
      throw Error(fmt::format(
          "{}: user '{}' has a {} item in line {} already, and one a user is ranked; keep one, or set "
          "data.split=leave_one_out",
          where(row), users_.token(row.user), test ? "test" : "validation",
          before[row.user]->line() - file_of(row.line()).lines_before));
    }
    mark = true;
    before[row.user] = &row;
  }
  return held;
}

/// Numbers the users in the order of their first rows, as if no other lines were there. True where that
/// changes any number.
bool InteractionTable::number_users() {
  std::vector<const InteractionRow*> first(users_.rows());  // by user, where there is one
  for (const InteractionRow& row : rows_) {
    const InteractionRow*& known = first[row.user];
    if (known == nullptr || row.line() < known->line()) known = &row;
  }
  const auto line_of = [](const InteractionRow* row) { return row == nullptr ? -1 : row->line(); };
  const auto is_wrong = [&](const InteractionRow* before, const InteractionRow* row) {
    return row == nullptr || line_of(row) < line_of(before);
  };
  if (std::adjacent_find(first.begin(), first.end(), is_wrong) == first.end()) return false;
  std::erase(first, nullptr);
  std::ranges::sort(first, {}, &InteractionRow::line);
  TokenMap users;
  std::vector<Id> ids(users_.rows());
  for (const InteractionRow* row : first) ids[row->user] = users.add(users_.token(row->user));
  for (InteractionRow& row : rows_) row.user = ids[row.user];
  shown_.renumber_users(ids);
  users_ = std::move(users);
  return true;
}

/// `core`: data.core chose the items.
void InteractionTable::assign_shown(Dataset& data, bool core) {
  if (shown_.empty()) return;
  if (core) {
    std::vector<std::uint8_t> known(items_.rows(), 0);
    for (const InteractionRow& row : rows_) known[row.item] = 1;
    shown_.keep_items(known);
  }
  const std::int64_t shown = shown_.size();
  shown_.assign(rows_, first_row_, items_.rows(), data);
  const auto beside =
      std::ranges::count_if(data.negative_group, [](std::int32_t group) { return group != 0; });
  const auto kept = static_cast<std::int64_t>(data.negatives.size());
  data.notes.push_back(fmt::format(
      "note: {}: {} items that were shown beside {} interactions and not taken are negatives "
      "(data.negatives=shown){}",
      data.source, kept, beside,
      kept == shown
          ? ""
          : fmt::format("; {} are not: their users took nothing that counts at that time, or them, or "
                        "were shown them twice",
                        shown - kept)));
}

Dataset InteractionTable::build(const LineReader& reader, std::string name, const ImportOptions& options,
                                bool given) {
  add_waiting();
  if (rows_.empty()) {
    reader.fail(
        shown_.empty()
            ? "there are no interactions; copy or create the file again, or look at data.keep"
            : "there are no interactions, only items that were not taken (a label of 0); look at data.keep");
  }
  Dataset data;
  data.name = std::move(name);
  data.source = files_.front().path;
  sort_by_user_and_time(given);
  treat_duplicates(data, options.duplicates, given);
  const bool filtered =
      filter_interactions(rows_, users_.rows(), items_.rows(), options, data.source, data.notes);
  if (number_users() || filtered) sort_by_user_and_time(given);
  assign_shown(data, options.core > 0);
  if (given) data.held_out = held_out();

  data.history_offsets = first_row_;
  std::vector<Id> item_ids(items_.rows(), 0);
  const auto id_of = [&](Id item) {
    Id& id = item_ids[item];
    if (id == 0) id = data.items.add(items_.token(item));
    return id;
  };
  data.history.reserve(rows_.size());
  for (const InteractionRow& row : rows_) data.history.push_back(id_of(row.item));
  for (Id& item : data.negatives) item = id_of(item);
  data.users = std::move(users_);
  data.titles.resize(data.items.rows());
  data.attribute_offsets.assign(data.items.rows() + 1, 0);
  data.hash = content_hash(data);
  *this = {};
  return data;
}

}  // namespace sllmr
