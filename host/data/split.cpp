#include "host/data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "kernels/exec/error.h"
#include "kernels/exec/random.h"

namespace sllmr {
namespace {

/// Draws from what was shown beside an item of a history, else from the items that the user never touched.
class NegativeSampler {
 public:
  NegativeSampler(const Dataset& data, std::uint64_t seed, Purpose purpose)
      : data_(data), seed_(seed), purpose_(purpose) {}

  /// For row `row`, at `position` of the user's history.
  Id draw(Id user, std::int32_t position, std::uint64_t row) {
    const auto shown = data_.negatives_at(user, position);
    if (shown.empty()) return draw_untouched(user, row);
    const std::uint32_t word = philox(seed_, 0, row, purpose_, 0).word[0];
    return shown[below(word, static_cast<std::uint32_t>(shown.size()))];
  }

 private:
  void set_user(Id user) {
    if (user == user_) return;
    user_ = user;
    const auto history = data_.user_history(user);
    touched_.assign(history.begin(), history.end());
    std::ranges::sort(touched_);
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
    if (static_cast<Id>(touched_.size()) < data_.items.count()) return;
    throw Error(fmt::format(
        "{}: user '{}' has touched all {} items, so there is no negative to sample; drop the user from the "
        "data",
        data_.source, data_.users.token(user), data_.items.count()));
  }

  Id draw_untouched(Id user, std::uint64_t row) {
    set_user(user);
    for (std::uint32_t block = 0;; ++block) {
      for (const std::uint32_t word : philox(seed_, 0, row, purpose_, block).word) {
        const Id item = 1 + static_cast<Id>(below(word, static_cast<std::uint32_t>(data_.items.count())));
        if (!std::ranges::binary_search(touched_, item)) return item;
      }
    }
  }

  const Dataset& data_;
  std::uint64_t seed_;
  Purpose purpose_;
  Id user_ = 0;
  std::vector<Id> touched_;  // by the user
};

/// One positive and one negative for each user with an item in `targets`, which stands at `position(user)` of
/// the history.
template <class Position>
std::vector<CtrRow> held_out_rows(const Split& split, const std::vector<Id>& targets, Position position_of,
                                  std::uint64_t seed, Purpose purpose) {
  std::vector<CtrRow> rows;
  NegativeSampler negatives(*split.data, seed, purpose);
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const Id target = targets[user];
    if (target == 0) continue;
    const std::int32_t position = position_of(user);
    rows.push_back({user, target, position, 1});
    rows.push_back({user, negatives.draw(user, position, static_cast<std::uint64_t>(user)), position, 0});
  }
  return rows;
}

HeldOut held_out(const Dataset& data, Id user) {
  if (!data.held_out.empty()) return data.held_out[static_cast<std::size_t>(user)];
  const bool long_enough = data.user_history(user).size() >= 3;
  return {long_enough, long_enough};
}

/// Leading items of the user's history that make rows of the ctr protocol: one each but the first.
std::int32_t ctr_items(const Split& split, Id user) {
  const auto at = static_cast<std::size_t>(user);
  return split.test[at] == 0 && split.data->held_out.empty() ? 0 : split.train_size[at];
}

}  // namespace

std::int64_t Split::train_interactions() const {
  return std::accumulate(train_size.begin(), train_size.end(), std::int64_t{0});
}

Split leave_one_out(const Dataset& data, const SliceThresholds& thresholds) {
  require(thresholds.tail_share >= 0 && thresholds.tail_share <= 1,
          fmt::format("tail_share is {}; it must lie between 0 and 1", thresholds.tail_share));
  require(thresholds.cold_history >= 0,
          fmt::format("cold_history is {}; it must not be negative", thresholds.cold_history));
  Split split;
  split.data = &data;
  split.thresholds = thresholds;
  const auto users = static_cast<std::size_t>(data.users.rows()),
             items = static_cast<std::size_t>(data.items.rows());
  split.train_size.assign(users, 0);
  split.validation.assign(users, 0);
  split.test.assign(users, 0);
  split.cold.assign(users, 0);
  split.popularity.assign(items, 0);
  split.tail.assign(items, 0);

  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto history = data.user_history(user);
    const auto n = static_cast<std::int32_t>(history.size());
    const HeldOut held = held_out(data, user);
    split.train_size[user] = n - (held.validation ? 1 : 0) - (held.test ? 1 : 0);
    if (held.validation) split.validation[user] = history[split.train_size[user]];
    if (held.test) split.test[user] = history[n - 1];
    split.cold[user] = split.train_size[user] < thresholds.cold_history;
    for (const Id item : split.train_items(user)) ++split.popularity[item];
  }

  // Items that were shown and never taken, which come last, are the tail of no interaction.
  split.taken_items = data.negatives.empty() ? data.items.count() : std::ranges::max(data.history);
  std::vector<Id> order(static_cast<std::size_t>(split.taken_items));
  std::iota(order.begin(), order.end(), 1);
  std::ranges::stable_sort(order, {}, [&](Id item) { return split.popularity[item]; });
  // 0.29 * 100 is 28.999... in binary
  order.resize(static_cast<std::size_t>(thresholds.tail_share * split.taken_items + 1e-9));
  for (const Id item : order) split.tail[item] = 1;
  if (!order.empty()) split.tail_threshold = split.popularity[order.back()];
  if (thresholds.tail_share > 0) std::fill(split.tail.begin() + split.taken_items + 1, split.tail.end(), 1);
  return split;
}

std::vector<CtrRow> ctr_train_rows(const Split& split, std::uint64_t seed) {
  std::vector<CtrRow> rows;
  NegativeSampler negatives(*split.data, seed, Purpose::ctr_train_negative);
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto items = split.train_items(user);
    const std::int32_t end = ctr_items(split, user);
    for (std::int32_t position = 1; position < end; ++position) {
      rows.push_back({user, items[position], position, 1});
      rows.push_back({user, negatives.draw(user, position, rows.size() / 2), position, 0});
    }
  }
  return rows;
}

std::vector<CtrRow> ctr_validation_rows(const Split& split, std::uint64_t seed) {
  const auto position = [&](Id user) { return split.train_size[static_cast<std::size_t>(user)]; };
  return held_out_rows(split, split.validation, position, seed, Purpose::ctr_validation_negative);
}

std::vector<CtrRow> ctr_test_rows(const Split& split, std::uint64_t seed) {
  const auto position = [&](Id user) {
    return static_cast<std::int32_t>(split.data->user_history(user).size()) - 1;
  };
  return held_out_rows(split, split.test, position, seed, Purpose::ctr_test_negative);
}

DataStats data_stats(const Split& split) {
  const Dataset& data = *split.data;
  DataStats stats;
  stats.users = data.users.count();
  stats.items = data.items.count();
  stats.interactions = data.interactions();
  stats.train_interactions = split.train_interactions();
  stats.cold_users = std::ranges::count(split.cold, 1);
  stats.tail_items = std::ranges::count(split.tail, 1);
  stats.attributes = data.attributes.count();
  for (Id item = 1; item < data.items.rows(); ++item) stats.items_without_text += data.titles[item].empty();
  for (Id user = 1; user < data.users.rows(); ++user) {
    if (split.test[user] == 0) ++stats.users_below_three;
    const std::int32_t positions = std::max(ctr_items(split, user), 1) - 1;
    stats.ctr_rows += 2 * positions;
    stats.ctr_cold_rows += 2 * std::min(positions, kColdRowHistory);
    for (std::int32_t position = 1; position <= positions; ++position)
      stats.ctr_shown_rows += data.negatives_at(user, position).empty() ? 0 : 1;
  }
  return stats;
}

std::span<const DataFigure> data_figures() {
  static constexpr DataFigure kFigures[] = {
      {"users", "users", &DataStats::users},
      {"items", "items that somebody took, or was shown (data.negatives)", &DataStats::items},
      {"interactions", "interactions", &DataStats::interactions},
      {"train_interactions", "training interactions (without validation and test)",
       &DataStats::train_interactions},
      {"ctr_rows", "training rows of the ctr protocol", &DataStats::ctr_rows},
      {"ctr_cold_rows", "of which with a history of at most 3 items", &DataStats::ctr_cold_rows},
      {"ctr_shown_rows", "of which negatives that the data say were shown", &DataStats::ctr_shown_rows},
      {"cold_users", "cold users (training interactions below the threshold)", &DataStats::cold_users},
      {"tail_items", "tail items (least popular in training)", &DataStats::tail_items},
      {"attributes", "distinct item attributes", &DataStats::attributes},
      {"items_without_text", "items without text", &DataStats::items_without_text},
      {"users_below_three",
       "users without a test item (training only; of leave-one-out those with fewer than 3 interactions)",
       &DataStats::users_below_three},
  };
  return kFigures;
}

}  // namespace sllmr
