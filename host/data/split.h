// Leave-one-out in time, training popularity, and the cold and tail slices. Everything here but `validation`
// and `test` is derived from training interactions alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr {

/// A row of the `ctr` protocol is a cold one when it may see this many items of the history or fewer.
inline constexpr std::int32_t kColdRowHistory = 3;

/// Where the slices begin. Both come from training data only.
struct SliceThresholds {
  int cold_history = 4;     // a user is cold with fewer training interactions than this (5-core: 5 in all)
  double tail_share = 0.2;  // this share of the items, least popular in training first, is the tail
};

/// The leave-one-out split of a data set: a user's last item is the test item, the last but one validates.
/// Users with fewer than 3 interactions are kept for training, with no validation and no test item. Of data
/// that came split (Dataset::held_out) it is that split.
struct Split {
  const Dataset* data = nullptr;
  SliceThresholds thresholds;
  std::vector<std::int32_t> train_size;  // by user: leading items of the history that are training items
  std::vector<Id> validation, test;      // by user, 0: none
  std::vector<std::int32_t> popularity;  // by item: training interactions
  std::vector<std::uint8_t> cold;        // by user
  std::vector<std::uint8_t> tail;        // by item
  Id taken_items =
      0;  // the first items: those of the data but what was only shown, of which the tail is a share
  std::int32_t tail_threshold = 0;  // popularity of the most popular tail item

  std::span<const Id> train_items(Id user) const {
    return data->user_history(user).first(
        static_cast<std::size_t>(train_size[static_cast<std::size_t>(user)]));
  }
  std::int64_t train_interactions() const;
};

/// Splits `data`, which must outlive the split. Items are ordered by popularity, then by id; the first
/// floor(tail_share * items) of them are the tail, those that training never saw included. Items that nobody
/// took, in the data for their being shown, do not count and are of the tail. Throws Error for thresholds out
/// of range.
Split leave_one_out(const Dataset& data, const SliceThresholds& thresholds = {});

/// One row of the `ctr` protocol: does `user`, after the first `position` items of the history, take `item`?
struct CtrRow {
  Id user;
  Id item;
  std::int32_t position;  // items of the history that the row may see
  float label;            // 1 observed, 0 negative
};

/// Training rows of the `ctr` protocol: each position of the training items after the first, as one positive
/// and one negative, uniform over what Dataset::negatives has beside it or, where that is nothing, over the
/// items that the user never touches (counter-based, so a row's negative depends on seed and row only). By
/// user and position, each positive followed by its negative. Users without a test item have none, unless the
/// data came split. These three functions throw Error for a user who has touched every item, where there is
/// no negative then.
std::vector<CtrRow> ctr_train_rows(const Split& split, std::uint64_t seed);
/// Test rows (or validation rows): one positive and one negative a user, fixed by the seed. A test row sees
/// all items before it, the validation item among them.
std::vector<CtrRow> ctr_test_rows(const Split& split, std::uint64_t seed);
std::vector<CtrRow> ctr_validation_rows(const Split& split, std::uint64_t seed);

/// What `sllmr data stats` prints; table 1 of the paper.
struct DataStats {
  std::int64_t users = 0, items = 0, interactions = 0;
  std::int64_t train_interactions = 0, ctr_rows = 0, ctr_cold_rows = 0, ctr_shown_rows = 0;
  std::int64_t cold_users = 0, tail_items = 0, attributes = 0, items_without_text = 0, users_below_three = 0;
};
DataStats data_stats(const Split& split);

/// A member of DataStats, for who prints them or hands them on.
struct DataFigure {
  const char* name;
  const char* meaning;
  std::int64_t DataStats::*value;
};
std::span<const DataFigure> data_figures();

}  // namespace sllmr
