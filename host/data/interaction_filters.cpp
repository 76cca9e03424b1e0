#include "host/data/interaction_filters.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/data/date_range.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using Rows = std::vector<InteractionRow>;

struct Counts {
  std::int64_t users = 0, items = 0, interactions = 0;
};

std::string text_of(const Counts& counts) {
  return fmt::format("{} users, {} items and {} interactions", counts.users, counts.items,
                     counts.interactions);
}

/// The rows of one data set, and how many users, items and rows are left of it.
class Filter {
 public:
  Filter(Rows& rows, Id user_rows, Id item_rows) : rows_(rows), of_user_(user_rows), of_item_(item_rows) {
    for (const InteractionRow& row : rows) {
      ++of_user_[row.user];
      ++of_item_[row.item];
    }
  }

  /// Takes the rows out for which `drops` is true, in order: it sees the counts without those before.
  template <class Drops>
  void take_out(const Drops& drops) {
    std::erase_if(rows_, [&](const InteractionRow& row) {
      if (!drops(row)) return false;
      --of_user_[row.user];
      --of_item_[row.item];
      return true;
    });
  }

  std::int64_t of_user(Id user) const { return of_user_[user]; }
  std::int64_t of_item(Id item) const { return of_item_[item]; }
  Counts counts() const {
    const auto present = [](std::int64_t rows) { return rows > 0; };
    return {std::ranges::count_if(of_user_, present), std::ranges::count_if(of_item_, present),
            static_cast<std::int64_t>(rows_.size())};
  }

 private:
  Rows& rows_;
  std::vector<std::int64_t> of_user_, of_item_;
};

std::string dates_text(const ImportOptions& options) {
  return fmt::format("{}{}{}", options.from.empty() ? "" : "data.from=" + options.from,
                     options.from.empty() || options.to.empty() ? "" : " ",
                     options.to.empty() ? "" : "data.to=" + options.to);
}

}  // namespace

bool filter_interactions(Rows& rows, Id user_rows, Id item_rows, const ImportOptions& options,
                         const std::string& path, std::vector<std::string>& notes) {
  if (!has_dates(options) && options.core == 0) return false;
  Filter filter(rows, user_rows, item_rows);
  const std::size_t all = rows.size();
  const auto note = [&](const Counts& before, const std::string& setting) {
    const Counts left = filter.counts();
    const Counts gone{before.users - left.users, before.items - left.items,
                      before.interactions - left.interactions};
    require(left.interactions > 0,
            fmt::format("{}: {} leaves out all {}; ask for less", path, setting, text_of(before)));
    if (gone.interactions == 0) return;
    notes.push_back(
        fmt::format("note: {}: {} leaves out {}; {} stay", path, setting, text_of(gone), text_of(left)));
  };
  if (has_dates(options)) {
    const Counts before = filter.counts();
    const TimeRange range =
        time_range(options, path, std::ranges::max_element(rows, {}, &InteractionRow::time)->time);
    filter.take_out([&](const InteractionRow& row) { return !range.contains(row.time); });
    note(before, dates_text(options));
  }
  if (options.core > 0) {
    const Counts before = filter.counts();
    const auto few = [&](const InteractionRow& row) {
      return filter.of_user(row.user) < options.core || filter.of_item(row.item) < options.core;
    };
    for (std::size_t last = 0; last != rows.size();) {
      last = rows.size();
      filter.take_out(few);
    }
    note(before, fmt::format("data.core={}", options.core));
  }
  return rows.size() != all;
}

}  // namespace sllmr
