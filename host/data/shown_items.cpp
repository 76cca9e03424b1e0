#include "host/data/shown_items.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

namespace sllmr {

void ShownItems::add(Id user, Id item, Time first, Time last) {
  const bool goes_on = !groups_.empty() && groups_.back().user == user && groups_.back().first == first &&
                       groups_.back().last == last;
  if (!goes_on) groups_.push_back({first, last, user, 0});
  shown_.push_back(item);
  groups_.back().end = shown_.size();
}

void ShownItems::renumber_users(const std::vector<Id>& ids) {
  for (Group& group : groups_) group.user = ids[group.user];
}

void ShownItems::keep_items(const std::vector<std::uint8_t>& known) {
  std::size_t from = 0, kept = 0;
  for (Group& group : groups_) {
    for (; from < group.end; ++from) {
      if (known[shown_[from]] != 0) shown_[kept++] = shown_[from];
    }
    group.end = kept;
  }
  shown_.resize(kept);
}

std::int64_t ShownItems::assign(const std::vector<InteractionRow>& rows,
                                const std::vector<std::int64_t>& first_row, Dataset& data) const {
  // Groups by user, in file order.
  std::vector<std::int64_t> first_group(first_row.size(), 0);
  for (const Group& group : groups_) ++first_group[group.user + 1];
  std::partial_sum(first_group.begin(), first_group.end(), first_group.begin());
  std::vector<std::size_t> order(groups_.size());
  std::vector<std::int64_t> next(first_group);
  for (std::size_t k = 0; k < groups_.size(); ++k) order[next[groups_[k].user]++] = k;

  /// Calls take(row, items) for each row beside which items were shown, and pass_over(items) for items that
  /// were shown beside none.
  const auto each_row = [&](const auto& take, const auto& pass_over) {
    std::vector<std::pair<Time, std::int64_t>> times;  // of a user's rows, and which they are
    for (std::size_t user = 0; user + 1 < first_group.size(); ++user) {  // 0: those who are none any more
      if (first_group[user] == first_group[user + 1]) continue;
      times.clear();
      for (std::int64_t row = first_row[user]; row < first_row[user + 1]; ++row)
        times.emplace_back(rows[row].time, row);
      std::ranges::sort(times);  // each part of data that came split has times of its own
      for (std::int64_t g = first_group[user]; g < first_group[user + 1]; ++g) {
        const std::size_t number = order[g], begin = number == 0 ? 0 : groups_[number - 1].end;
        const Group& group = groups_[number];
        const auto items = std::span(shown_).subspan(begin, group.end - begin);
        const auto from =
            std::ranges::lower_bound(times, group.first, {}, &decltype(times)::value_type::first);
        auto at = from;
        for (; at != times.end() && at->first <= group.last; ++at) take(at->second, items);
        if (at == from) pass_over(items);
      }
    }
  };

  std::int64_t unused = 0;
  data.negative_offsets.assign(rows.size() + 1, 0);
  each_row(
      [&](std::int64_t row, std::span<const Id> items) {
        data.negative_offsets[row + 1] += std::ssize(items) - std::ranges::count(items, rows[row].item);
      },
      [&](std::span<const Id> items) { unused += std::ssize(items); });
  std::partial_sum(data.negative_offsets.begin(), data.negative_offsets.end(), data.negative_offsets.begin());
  data.negatives.resize(static_cast<std::size_t>(data.negative_offsets.back()));
  std::vector<std::int64_t> filled(data.negative_offsets);
  each_row(
      [&](std::int64_t row, std::span<const Id> items) {
        for (const Id item : items) {
          if (item != rows[row].item) data.negatives[filled[row]++] = item;
        }
      },
      [](std::span<const Id>) {});
  return unused;
}

}  // namespace sllmr
