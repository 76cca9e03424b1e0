#include "host/data/split.h"

#include <algorithm>
#include <map>
#include <set>

#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

/// Users 1, 2, ... with these histories over the items 1 to `items`.
Dataset make_dataset(const std::vector<std::vector<Id>>& histories, Id items) {
  Dataset data;
  data.source = "made";
  data.history_offsets = {0, 0};
  for (const auto& history : histories) {
    data.users.add("u" + std::to_string(data.users.rows()));
    data.history.insert(data.history.end(), history.begin(), history.end());
    data.history_offsets.push_back(data.interactions());
  }
  while (data.items.count() < items) data.items.add("i" + std::to_string(data.items.rows()));
  data.titles.resize(data.items.rows());
  data.attribute_offsets.assign(data.items.rows() + 1, 0);
  return data;
}

TEST(LeaveOneOutTest, LastItemTestsAndLastButOneValidates) {
  const Dataset data = make_dataset({{1, 2, 3, 4, 5}, {5, 4, 3}}, 5);
  const Split split = leave_one_out(data);
  EXPECT_THAT(split.test, ElementsAre(0, 5, 3));
  EXPECT_THAT(split.validation, ElementsAre(0, 4, 4));
  EXPECT_THAT(split.train_size, ElementsAre(0, 3, 1));
  EXPECT_THAT(split.train_items(1), ElementsAre(1, 2, 3));
  EXPECT_EQ(split.train_interactions(), 4);
}

TEST(LeaveOneOutTest, UsersBelowThreeInteractionsOnlyTrain) {
  const Dataset data = make_dataset({{1, 2}, {3}, {1, 2, 3}}, 3);
  const Split split = leave_one_out(data);
  EXPECT_THAT(split.test, ElementsAre(0, 0, 0, 3));
  EXPECT_THAT(split.validation, ElementsAre(0, 0, 0, 2));
  EXPECT_THAT(split.train_size, ElementsAre(0, 2, 1, 1));
}

TEST(LeaveOneOutTest, PopularityCountsTrainingInteractionsOnly) {
  const Dataset data = make_dataset({{1, 2, 1, 3, 3}, {1, 3, 2}}, 4);
  EXPECT_THAT(leave_one_out(data).popularity, ElementsAre(0, 3, 1, 0, 0));
}

TEST(LeaveOneOutTest, ColdUsersHaveFewTrainingItems) {
  const Dataset data = make_dataset({{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5, 1}, {1}}, 5);
  EXPECT_THAT(leave_one_out(data).cold, ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(leave_one_out(data, {.cold_history = 3, .tail_share = 0.2}).cold, ElementsAre(0, 0, 0, 1));
}

TEST(LeaveOneOutTest, TailIsTheLeastPopularShareWithTiesById) {
  // Popularity of items 1 to 5: 2, 1, 0, 1, 1.
  const Dataset data = make_dataset({{1, 2, 4, 5, 1, 1, 1}}, 5);
  const auto tail = [&](double share) {
    return leave_one_out(data, {.cold_history = 4, .tail_share = share});
  };
  EXPECT_THAT(tail(0.2).tail, ElementsAre(0, 0, 0, 1, 0, 0));
  EXPECT_EQ(tail(0.2).tail_threshold, 0);
  EXPECT_THAT(tail(0.6).tail, ElementsAre(0, 0, 1, 1, 1, 0));
  EXPECT_EQ(tail(0.6).tail_threshold, 1);
  EXPECT_THAT(tail(0.79).tail, ElementsAre(0, 0, 1, 1, 1, 0)) << "the share is rounded down";
  EXPECT_THAT(tail(0).tail, Each(0));
  EXPECT_THAT(tail(1).tail, ElementsAre(0, 1, 1, 1, 1, 1));
}

TEST(LeaveOneOutTest, TailShareIsNotOneShortThroughBinaryRounding) {
  const Dataset data = make_dataset({{1}}, 100);
  const Split split = leave_one_out(data, {.cold_history = 4, .tail_share = 0.29});
  EXPECT_EQ(std::ranges::count(split.tail, 1), 29);
}

TEST(LeaveOneOutTest, ThresholdsOutOfRangeAreErrors) {
  const Dataset data = make_dataset({{1}}, 1);
  const auto error = [&](SliceThresholds t) { return error_of([&] { leave_one_out(data, t); }); };
  EXPECT_THAT(error({.cold_history = 4, .tail_share = 1.5}), HasSubstr("tail_share is 1.5"));
  EXPECT_THAT(error({.cold_history = 4, .tail_share = std::nan("")}), HasSubstr("tail_share is nan"));
  EXPECT_THAT(error({.cold_history = -1, .tail_share = 0.2}), HasSubstr("cold_history is -1"));
}

TEST(CtrRowsTest, TrainingRowsLieBetweenTheFirstAndTheHeldOutItems) {
  const Dataset data = make_dataset({{1, 2, 3, 4, 5}, {6, 7}, {6, 7, 8}, {3, 2, 1, 4}}, 20);
  const auto rows = ctr_train_rows(leave_one_out(data), 1);
  ASSERT_EQ(rows.size(), 6u);
  const std::vector<std::tuple<Id, Id, int>> positives{{1, 2, 1}, {1, 3, 2}, {4, 2, 1}};
  for (std::size_t k = 0; k < positives.size(); ++k) {
    const CtrRow &positive = rows[2 * k], &negative = rows[2 * k + 1];
    EXPECT_EQ(std::tuple(positive.user, positive.item, positive.position), positives[k]);
    EXPECT_EQ(positive.label, 1);
    EXPECT_EQ(negative.user, positive.user);
    EXPECT_EQ(negative.position, positive.position);
    EXPECT_EQ(negative.label, 0);
  }
}

TEST(CtrRowsTest, HeldOutRowsSeeWhatCameBefore) {
  const Dataset data = make_dataset({{1, 2, 3, 4, 5}, {6, 7}}, 20);
  const Split split = leave_one_out(data);
  const auto test = ctr_test_rows(split, 1), validation = ctr_validation_rows(split, 1);
  ASSERT_EQ(test.size(), 2u);
  ASSERT_EQ(validation.size(), 2u);
  EXPECT_EQ(test[0].item, 5);
  EXPECT_EQ(test[0].label, 1);
  EXPECT_EQ(test[0].position, 4);
  EXPECT_EQ(test[1].label, 0);
  EXPECT_EQ(test[1].position, 4);
  EXPECT_EQ(validation[0].item, 4);
  EXPECT_EQ(validation[0].position, 3);
}

TEST(CtrRowsTest, NegativesAreUniformOverItemsNeverTouched) {
  const Dataset data = make_dataset({{1, 3, 5, 7, 2}, {8, 6, 4}}, 8);
  const Split split = leave_one_out(data);
  std::map<Id, int> train, test, validation;
  constexpr int draws = 3000;
  for (std::uint64_t seed = 0; seed < draws; ++seed) {
    ++train[ctr_train_rows(split, seed)[1].item];
    ++test[ctr_test_rows(split, seed)[1].item];
    ++validation[ctr_validation_rows(split, seed)[1].item];
  }
  for (const auto& counts : {train, test, validation}) {
    ASSERT_EQ(counts.size(), 3u);
    for (const Id item : {4, 6, 8}) EXPECT_NEAR(counts.at(item), draws / 3, 130);  // five standard deviations
  }
}

std::vector<Id> items_of(const std::vector<CtrRow>& rows) {
  std::vector<Id> items;
  for (const CtrRow& row : rows) items.push_back(row.item);
  return items;
}

TEST(CtrRowsTest, NegativesDependOnTheSeedAlone) {
  const Dataset data = make_dataset({{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {3, 4, 5, 6, 7, 8, 9, 10}}, 1000);
  const Split split = leave_one_out(data);
  EXPECT_EQ(items_of(ctr_train_rows(split, 1)), items_of(ctr_train_rows(split, 1)));
  EXPECT_NE(items_of(ctr_train_rows(split, 1)), items_of(ctr_train_rows(split, 2)));
  EXPECT_EQ(items_of(ctr_test_rows(split, 1)), items_of(ctr_test_rows(split, 1)));
  EXPECT_NE(items_of(ctr_test_rows(split, 1)), items_of(ctr_test_rows(split, 2)));
}

TEST(CtrRowsTest, RowsUsersAndPurposesDrawApart) {
  const Dataset data = make_dataset({{1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3}}, 100'000);
  const Split split = leave_one_out(data);
  std::set<Id> negatives;
  std::size_t drawn = 0;
  for (const auto& rows :
       {ctr_train_rows(split, 1), ctr_test_rows(split, 1), ctr_validation_rows(split, 1)}) {
    for (std::size_t k = 1; k < rows.size(); k += 2, ++drawn) negatives.insert(rows[k].item);
  }
  EXPECT_EQ(drawn, 10u);
  EXPECT_EQ(negatives.size(), drawn);
}

TEST(CtrRowsTest, UserWhoTouchedAllItemsIsAnError) {
  const Dataset data = make_dataset({{1, 2, 3, 3, 2, 1}}, 3);
  const Split split = leave_one_out(data);
  EXPECT_THAT(error_of([&] { ctr_train_rows(split, 1); }), HasSubstr("user 'u1' has touched all 3 items"));
  EXPECT_THAT(error_of([&] { ctr_test_rows(split, 1); }), HasSubstr("user 'u1' has touched all 3 items"));
}

TEST(DataStatsTest, CountsWhatTheRowsAre) {
  Dataset data = make_dataset({{1, 2, 3, 4, 5, 6, 7}, {6, 7}, {6, 7, 8}, {3, 2, 1, 4}}, 20);
  data.titles[3] = "ball";
  data.attributes.add("red");
  const Split split = leave_one_out(data);
  const DataStats stats = data_stats(split);
  const auto rows = ctr_train_rows(split, 1);
  EXPECT_EQ(stats.users, 4);
  EXPECT_EQ(stats.items, 20);
  EXPECT_EQ(stats.interactions, 16);
  EXPECT_EQ(stats.train_interactions, 10);
  EXPECT_EQ(stats.ctr_rows, static_cast<std::int64_t>(rows.size()));
  EXPECT_EQ(stats.ctr_cold_rows,
            std::ranges::count_if(rows, [](const CtrRow& row) { return row.position <= kColdRowHistory; }));
  EXPECT_EQ(stats.ctr_cold_rows, 8);
  EXPECT_EQ(stats.cold_users, 3);
  EXPECT_EQ(stats.tail_items, 4);
  EXPECT_EQ(stats.attributes, 1);
  EXPECT_EQ(stats.items_without_text, 19);
  EXPECT_EQ(stats.users_below_three, 1);
}

/// What was shown beside an item is its negative, in training and in the test; elsewhere they are drawn.
TEST(CtrRowsTest, NegativesThatTheDataBringComeFirst) {
  Dataset data = make_dataset({{1, 2, 3, 4, 5, 6}, {3, 2, 1, 5}}, 60);
  data.negatives = {50, 51, 52, 53, 9};
  data.negative_offsets = {0, 0, 3, 4, 5};
  data.negative_group = {0, 1, 0, 0, 0, 2, 0, 0, 0, 3};
  const Split split = leave_one_out(data);
  std::set<Id> drawn;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const std::vector<CtrRow> rows = ctr_train_rows(split, seed), test = ctr_test_rows(split, seed);
    ASSERT_EQ(rows.size(), 8U);
    EXPECT_EQ(rows[1].position, 1);
    EXPECT_THAT(rows[1].item, testing::AnyOf(50, 51, 52));
    drawn.insert(rows[1].item);
    EXPECT_THAT(rows[3].item, testing::Not(testing::AnyOf(1, 2, 3, 4, 5, 6)));
    ASSERT_EQ(test.size(), 4U);
    EXPECT_EQ(test[1].item, 53);
    EXPECT_EQ(test[3].item, 9);
  }
  EXPECT_EQ(drawn.size(), 3U);

  // Who has touched everything needs no draw where the data say what was shown.
  Dataset all = make_dataset({{1, 2, 3, 4}}, 4);
  all.negatives = {1, 2, 1};
  all.negative_offsets = {0, 0, 1, 2, 3};
  all.negative_group = {0, 1, 2, 3};
  const Split whole = leave_one_out(all);
  EXPECT_THAT(ctr_train_rows(whole, 1), testing::SizeIs(2));
  EXPECT_THAT(ctr_test_rows(whole, 1), testing::SizeIs(2));
}

/// What was shown and never taken is of the tail, and does not push out of it what was taken.
TEST(LeaveOneOutTest, ItemsThatNobodyTookAreNotCountedAmongTheTail) {
  Dataset data = make_dataset({{1, 2, 3, 4, 5}, {1, 2, 3, 6, 7}, {1, 2, 8, 9, 10}}, 10);
  const std::vector<std::uint8_t> before = leave_one_out(data).tail;
  for (int k = 0; k < 40; ++k) data.negatives.push_back(data.items.add("n" + std::to_string(k)));
  data.negative_offsets = {0, 0, 40};
  data.negative_group.assign(data.history.size(), 1);
  const std::vector<std::uint8_t> after = leave_one_out(data).tail;
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  EXPECT_EQ(std::count(after.begin() + 11, after.end(), 1), 40);
  EXPECT_EQ(leave_one_out(data).taken_items, 10);
}

}  // namespace
}  // namespace sllmr
