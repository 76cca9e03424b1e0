#include "host/data/shown_items.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <tuple>
#include <utility>

namespace sllmr {

void ShownItems::add(Id user, Id item, const ShownBeside& beside) {
  const auto key = [](const ShownBeside& each) { return std::tuple(each.part, each.first, each.last); };
  const bool goes_on =
      !groups_.empty() && groups_.back().user == user && key(groups_.back().beside) == key(beside);
  if (!goes_on) groups_.push_back({beside, user, 0});
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

/// The work on one user after the other.
class ShownItems::Assigning {
 public:
  Assigning(const ShownItems& shown, const std::vector<InteractionRow>& rows, Id item_rows, Dataset& data)
      : shown_(shown), rows_(rows), data_(data), seen_(static_cast<std::size_t>(item_rows), 0) {
    data.negative_group.assign(rows.size(), 0);
    data.negative_offsets = {0, 0};
    data.negatives.clear();
  }

  /// Rows first .. last - 1, and the groups of these numbers.
  void user(std::int64_t first, std::int64_t last, std::span<const std::size_t> groups) {
    by_time_.resize(static_cast<std::size_t>(last - first));
    std::iota(by_time_.begin(), by_time_.end(), first);
    std::ranges::stable_sort(by_time_, {}, [&](std::int64_t row) { return when(row); });
    by_moment_.assign(groups.begin(), groups.end());
    const auto moment = [&](std::size_t group) {
      const ShownBeside& beside = shown_.groups_[group].beside;
      return std::tuple(beside.part, beside.first, beside.last);
    };
    std::ranges::stable_sort(by_moment_, {}, moment);
    for (std::size_t k = 0; k < by_moment_.size();) {
      const std::size_t begin = k;
      while (k < by_moment_.size() && moment(by_moment_[k]) == moment(by_moment_[begin])) ++k;
      beside(shown_.groups_[by_moment_[begin]].beside, std::span(by_moment_).subspan(begin, k - begin));
    }
  }

 private:
  std::pair<Part, Time> when(std::int64_t row) const {
    const InteractionRow& at = rows_[static_cast<std::size_t>(row)];
    return {at.part(), at.time};
  }

  /// What all of the groups have, at one moment.
  void beside(const ShownBeside& beside, std::span<const std::size_t> groups) {
    const auto begin = std::ranges::lower_bound(by_time_, std::pair(beside.part, beside.first), {},
                                                [&](std::int64_t row) { return when(row); });
    auto end = begin;
    while (end != by_time_.end() && when(*end) <= std::pair(beside.part, beside.last)) ++end;
    if (begin == end || (beside.only_one && end - begin > 1)) return;

    const std::size_t known = data_.negatives.size();
    ++moment_;
    for (auto row = begin; row != end; ++row) is_new(rows_[static_cast<std::size_t>(*row)].item);
    for (const std::size_t number : groups) {
      const std::size_t first = number == 0 ? 0 : shown_.groups_[number - 1].end;
      for (std::size_t k = first; k < shown_.groups_[number].end; ++k) {
        if (is_new(shown_.shown_[k])) data_.negatives.push_back(shown_.shown_[k]);
      }
    }
    if (data_.negatives.size() == known) return;
    const auto group = static_cast<std::int32_t>(data_.negative_offsets.size() - 1);
    data_.negative_offsets.push_back(static_cast<std::int64_t>(data_.negatives.size()));
    for (auto row = begin; row != end; ++row) data_.negative_group[static_cast<std::size_t>(*row)] = group;
  }

  /// Whether the moment has not seen the item yet, which it then has.
  bool is_new(Id item) { return std::exchange(seen_[static_cast<std::size_t>(item)], moment_) != moment_; }

  const ShownItems& shown_;
  const std::vector<InteractionRow>& rows_;
  Dataset& data_;
  std::vector<std::int32_t> seen_;  // by item: the last moment that has seen it
  std::int32_t moment_ = 0;
  std::vector<std::int64_t> by_time_;
  std::vector<std::size_t> by_moment_;
};

void ShownItems::assign(const std::vector<InteractionRow>& rows, const std::vector<std::int64_t>& first_row,
                        Id item_rows, Dataset& data) const {
  std::vector<std::size_t> first_group(first_row.size(), 0), by_user(groups_.size());
  for (const Group& group : groups_) ++first_group[static_cast<std::size_t>(group.user) + 1];
  std::partial_sum(first_group.begin(), first_group.end(), first_group.begin());
  std::vector<std::size_t> next(first_group);
  for (std::size_t k = 0; k < groups_.size(); ++k)
    by_user[next[static_cast<std::size_t>(groups_[k].user)]++] = k;
  Assigning assigning(*this, rows, item_rows, data);
  for (std::size_t user = 1; user + 1 < first_group.size(); ++user) {  // 0: those who are none any more
    const std::size_t begin = first_group[user], n = first_group[user + 1] - begin;
    if (n > 0) assigning.user(first_row[user], first_row[user + 1], std::span(by_user).subspan(begin, n));
  }
  if (!data.negatives.empty()) return;
  data.negative_group.clear();
  data.negative_offsets.clear();
}

}  // namespace sllmr
