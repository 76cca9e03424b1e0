#include "host/data/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "models/layers/embedding/embedding.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/features.h"
#include "tests/support/fixed_examples.h"

namespace sllmr {
namespace {

using testing::HasSubstr;
using Lists = std::vector<std::vector<Id>>;

/// Owns what a FeatureSource looks at.
struct SmallData {
  Lists histories, brands, categories;  // by user; by item, one brand each; by item
  std::vector<std::int64_t> offsets;
  std::vector<Id> history;

  FeatureSource source() {
    FeatureSource source;
    source.name = "small";
    offsets = {0, 0};
    history.clear();
    for (const auto& items : histories) {
      history.insert(history.end(), items.begin(), items.end());
      offsets.push_back(static_cast<std::int64_t>(history.size()));
    }
    source.user_rows = static_cast<Id>(histories.size()) + 1;
    source.item_rows = static_cast<Id>(categories.size()) + 1;
    source.history_offsets = offsets;
    source.history = history;
    source.brands = {0};
    source.category_offsets = {0, 0};
    for (std::size_t item = 0; item < categories.size(); ++item) {
      const Id brand = brands[item].empty() ? 0 : brands[item][0];
      source.brands.push_back(brand);
      source.brand_rows = std::max(source.brand_rows, brand + 1);
      for (const Id category : categories[item]) {
        source.categories.push_back(category);
        source.category_rows = std::max(source.category_rows, category + 1);
      }
      source.category_offsets.push_back(static_cast<std::int64_t>(source.categories.size()));
    }
    source.user_token = [](Id user) { return user == 1 ? "anna" : "other"; };
    return source;
  }
};

/// Three users; item 3 has neither brand nor category.
SmallData three_users() {
  return {{{1, 2, 3, 4}, {4}, {2, 2}}, {{1}, {2}, {}, {1}}, {{1, 2}, {2}, {}, {3, 1}}, {}, {}};
}

template <class T>
std::vector<T> fetch(const Context& context, const T* from, std::int64_t size) {
  std::vector<T> to(static_cast<std::size_t>(size));
  if (size != 0) copy_to_host(context, to.data(), from, to.size() * sizeof(T));
  return to;
}

/// The lists of a batch.
HostFeatures lists_of(const Context& context, const FeatureBatch& batch) {
  HostFeatures features;
  for (std::size_t f = 0; f < features.bags.size(); ++f) {
    const std::int64_t bags = batch.bags(static_cast<Field>(f));
    const auto begin = fetch(context, batch.fields[f].begin, bags);
    const auto length = fetch(context, batch.fields[f].length, bags);
    for (std::size_t bag = 0; bag < begin.size(); ++bag) {
      features.bags[f].push_back(fetch(context, batch.fields[f].ids + begin[bag], length[bag]));
    }
  }
  if (batch.sequence) features.first_position = fetch(context, batch.first_position, batch.all_rows() + 1);
  return features;
}

/// The plan as it stands, occurrences in its order. A key that comes twice fails.
HostPlan plan_in(const Context& context, const FeatureBatch& batch, Vocabulary vocabulary) {
  const TablePlan& from = batch.plans[static_cast<std::size_t>(vocabulary)];
  const auto keys = fetch(context, from.keys, from.n);
  const auto offsets = fetch(context, from.offsets, from.n + 1);
  const auto field = fetch(context, from.field, offsets.back());
  const auto row = fetch(context, from.row, offsets.back());
  HostPlan plan;
  for (std::size_t r = 0; r < keys.size(); ++r) {
    EXPECT_FALSE(plan.contains(keys[r])) << "row " << keys[r] << " comes twice";
    for (auto k = static_cast<std::size_t>(offsets[r]); k < static_cast<std::size_t>(offsets[r + 1]); ++k) {
      plan[keys[r]].emplace_back(field[k], row[k]);
    }
    plan.try_emplace(keys[r]);
  }
  return plan;
}

void expect_plans(const Context& context, const FeatureBatch& batch) {
  const HostFeatures lists = lists_of(context, batch);
  for (int v = 0; v < kVocabularies; ++v) {
    EXPECT_EQ(plan_in(context, batch, static_cast<Vocabulary>(v)), plan_of(lists, static_cast<Vocabulary>(v)))
        << v;
  }
  const auto keys =
      fetch(context, batch.plans[static_cast<std::size_t>(Vocabulary::item)].keys, batch.different_items);
  const auto number = fetch(context, batch.item_number, batch.all_rows());
  std::set<Id> different;
  for (std::size_t row = 0; row < number.size(); ++row) {
    const Id item = lists.of(Field::item)[row].at(0);
    EXPECT_EQ(keys.at(static_cast<std::size_t>(number[row])), item) << row;
    different.insert(item);
  }
  EXPECT_EQ(keys.size(), different.size());
}

/// Item 3 after all four of user 1, item 1 before the first of user 2, item 4 after two of user 1.
const std::vector<FeatureRow> kRows{{1, 3, 4}, {2, 1, 0}, {1, 4, 2}};

void expect_pooled(const Context& context) {
  SmallData data = three_users();
  const FeatureStore store(context, data.source(), 3);
  FeatureBatcher batcher(context, store, {4});
  const FeatureBatch& batch = batcher.make(context, kRows);
  EXPECT_EQ(batch.rows, 3);
  EXPECT_FALSE(batch.sequence);
  const HostFeatures lists = lists_of(context, batch);
  EXPECT_EQ(lists.of(Field::user), (Lists{{1}, {2}, {1}}));
  EXPECT_EQ(lists.of(Field::item), (Lists{{3}, {1}, {4}}));
  EXPECT_EQ(lists.of(Field::brand), (Lists{{0}, {1}, {1}})) << "no brand is id 0";
  EXPECT_EQ(lists.of(Field::categories), (Lists{{}, {1, 2}, {3, 1}}));
  EXPECT_EQ(lists.of(Field::history_items), (Lists{{2, 3, 4}, {}, {1, 2}})) << "the last three";
  EXPECT_EQ(lists.of(Field::history_brands), (Lists{{2, 1}, {}, {1, 2}})) << "without padding";
  EXPECT_EQ(lists.of(Field::history_categories), (Lists{{2, 3, 1}, {}, {1, 2, 2}}));
  expect_plans(context, batch);
  const HostPlan brands = plan_in(context, batch, Vocabulary::brand);
  EXPECT_TRUE(brands.contains(0)) << "row 0 is read";
  EXPECT_TRUE(brands.at(0).empty()) << "row 0 has no gradient";
}

TEST(Features, TheUsersIdMayBeNone) {
  const Context context(Device::cpu, 1);
  SmallData data = three_users();
  FeatureSource source = data.source();
  source.user_id = false;
  const FeatureStore store(context, source, 3);
  EXPECT_EQ(store.table_rows()[0], 1);
  FeatureBatcher batcher(context, store, {4});
  const FeatureBatch& batch = batcher.make(context, kRows);
  const HostFeatures lists = lists_of(context, batch);
  EXPECT_EQ(lists.of(Field::user), (Lists{{}, {}, {}}));
  EXPECT_EQ(lists.of(Field::item), (Lists{{3}, {1}, {4}}));
  EXPECT_EQ(lists.of(Field::history_items), (Lists{{2, 3, 4}, {}, {1, 2}}));
  EXPECT_EQ(batch.plans[0].n, 0);
  expect_plans(context, batch);
}

void expect_sequence(const Context& context) {
  SmallData data = three_users();
  const FeatureStore store(context, data.source(), 3);
  FeatureBatcher batcher(context, store, {4, true});
  const FeatureBatch& batch = batcher.make(context, kRows);
  EXPECT_TRUE(batch.sequence);
  ASSERT_EQ(batch.positions, 5);
  EXPECT_EQ(fetch(context, batch.first_position, 4), (std::vector<std::int64_t>{0, 3, 3, 5}));
  EXPECT_EQ(fetch(context, batch.row_of_position, 5), (std::vector<std::int32_t>{0, 0, 0, 2, 2}));
  const HostFeatures lists = lists_of(context, batch);
  EXPECT_EQ(lists.of(Field::item), (Lists{{3}, {1}, {4}}));
  EXPECT_EQ(lists.of(Field::categories), (Lists{{}, {1, 2}, {3, 1}}));
  EXPECT_EQ(lists.of(Field::history_items), (Lists{{2}, {3}, {4}, {1}, {2}}));
  EXPECT_EQ(lists.of(Field::history_brands), (Lists{{2}, {}, {1}, {1}, {2}}));
  EXPECT_EQ(lists.of(Field::history_categories), (Lists{{2}, {}, {3, 1}, {1, 2}, {2}}));
  expect_plans(context, batch);
}

TEST(Features, PooledListsAreThoseMadeByHand) {
  expect_pooled(Context(Device::cpu, 1));
}

TEST(Features, SequencesAreThoseMadeByHand) {
  expect_sequence(Context(Device::cpu, 1));
}

SmallData random_data(TestNumbers& numbers) {
  SmallData data;
  for (int user = 0; user < 30; ++user) {
    auto& items = data.histories.emplace_back();
    for (Id k = numbers.id(0, 12); k > 0; --k) items.push_back(numbers.id(1, 50));
  }
  for (int item = 0; item < 50; ++item) {
    data.brands.push_back({numbers.id(0, 6)});
    auto& categories = data.categories.emplace_back();
    for (Id k = numbers.id(0, 4); k > 0; --k) categories.push_back(numbers.id(1, 9));
  }
  return data;
}

std::vector<FeatureRow> random_rows(TestNumbers& numbers, const SmallData& data, int count) {
  std::vector<FeatureRow> rows;
  for (int k = 0; k < count; ++k) {
    const Id user = numbers.id(1, static_cast<Id>(data.histories.size()));
    const auto size = static_cast<Id>(data.histories[static_cast<std::size_t>(user) - 1].size());
    rows.push_back({user, numbers.id(1, static_cast<Id>(data.categories.size())), numbers.id(0, size)});
  }
  return rows;
}

/// The lists of rows, the naive way.
HostFeatures naive_lists(const SmallData& data, const std::vector<FeatureRow>& rows, int max_history) {
  HostFeatures lists;
  const auto brand_of = [&](Id item) { return data.brands[static_cast<std::size_t>(item) - 1][0]; };
  const auto categories_of = [&](Id item) { return data.categories[static_cast<std::size_t>(item) - 1]; };
  for (const FeatureRow& row : rows) {
    lists.of(Field::user).push_back({row.user});
    lists.of(Field::item).push_back({row.item});
    lists.of(Field::brand).push_back({brand_of(row.item)});
    lists.of(Field::categories).push_back(categories_of(row.item));
    auto& items = lists.of(Field::history_items).emplace_back();
    auto& brands = lists.of(Field::history_brands).emplace_back();
    auto& categories = lists.of(Field::history_categories).emplace_back();
    for (int k = std::max(0, row.position - max_history); k < row.position; ++k) {
      const Id item = data.histories[static_cast<std::size_t>(row.user) - 1][static_cast<std::size_t>(k)];
      items.push_back(item);
      if (brand_of(item) != 0) brands.push_back(brand_of(item));
      for (const Id category : categories_of(item)) categories.push_back(category);
    }
  }
  return lists;
}

/// Batches of different sizes one after the other, through the same memory.
void expect_naive(const Context& context, bool plans) {
  TestNumbers numbers(3);
  SmallData data = random_data(numbers);
  const FeatureStore store(context, data.source(), 5);
  FeatureBatcher batcher(context, store, {40, false, plans});
  for (const int count : {3, 40, 1, 17}) {
    const std::vector<FeatureRow> rows = random_rows(numbers, data, count);
    const FeatureBatch& batch = batcher.make(context, rows);
    const HostFeatures lists = naive_lists(data, rows, 5);
    EXPECT_EQ(lists_of(context, batch).bags, lists.bags);
    if (plans) {
      expect_plans(context, batch);
    } else {
      for (const TablePlan& plan : batch.plans) EXPECT_EQ(plan.n, 0);
    }
  }
}

TEST(Features, CountsThePositionsOfTwins) {
  const Context context(Device::cpu, 1);
  SmallData data = three_users();
  const FeatureStore store(context, data.source(), 3);
  FeatureBatcher batcher(context, store, {5, true});
  const std::vector<FeatureRow> rows{{3, 1, 0}, {1, 3, 4}, {2, 2, 1}, {1, 1, 4}, {2, 4, 1}};
  EXPECT_EQ(batcher.make(context, rows, 2).twin_positions, 4);
  EXPECT_EQ(batcher.make(context, rows).twin_positions, 0);
  EXPECT_THAT(error_of([&] { batcher.assemble(rows, 1); }), HasSubstr("same user and position"));
  EXPECT_THAT(error_of([&] { batcher.assemble(rows, 3); }), HasSubstr("fewer rows than twins"));
}

/// A batch with examples is one of its rows and, each once, theirs.
void expect_examples(const Context& context, bool sequence) {
  TestNumbers numbers(6);
  SmallData data = random_data(numbers);
  const auto examples = std::make_shared<const FixedExamples>(random_rows(numbers, data, 12), /*each=*/4);
  const FeatureStore store(context, data.source(), 5, examples), without(context, data.source(), 5);
  FeatureBatcher batcher(context, store, {20, sequence}), naive(context, without, {32, sequence});
  for (const int count : {2, 20, 7}) {
    const std::vector<FeatureRow> rows = random_rows(numbers, data, count);
    const FeatureBatch& batch = batcher.make(context, rows);
    ASSERT_EQ(batch.rows, count);
    ASSERT_EQ(batch.examples.each, 4);
    std::vector<std::int32_t> found(rows.size() * 4);
    examples->find(rows, found);
    const auto number = fetch(context, batch.examples.number, batch.examples.n);
    const auto of_row = fetch(context, batch.examples.of_row, 4 * batch.rows);
    std::vector<FeatureRow> all = rows;
    for (const Id k : number) all.push_back(examples->pool()[static_cast<std::size_t>(k)]);
    std::int64_t filled = 0;
    for (std::size_t k = 0; k < found.size(); ++k) {
      ASSERT_EQ(of_row[k] < 0, found[k] < 0) << k;
      if (found[k] < 0) continue;
      EXPECT_EQ(number[static_cast<std::size_t>(of_row[k])], found[k]) << k;
      ++filled;
    }
    EXPECT_EQ(batch.examples.filled, filled);
    const auto first_use = fetch(context, batch.examples.first_use, batch.examples.n + 1);
    const auto use = fetch(context, batch.examples.use, filled);
    ASSERT_EQ(first_use.back(), filled);
    for (std::size_t e = 0; e < number.size(); ++e) {
      EXPECT_LT(first_use[e], first_use[e + 1]) << "an example that no row has";
      for (std::int64_t k = first_use[e]; k < first_use[e + 1]; ++k) {
        EXPECT_EQ(of_row[static_cast<std::size_t>(use[static_cast<std::size_t>(k)])],
                  static_cast<std::int32_t>(e));
      }
    }
    const FeatureBatch& same = naive.make(context, all);
    EXPECT_EQ(lists_of(context, batch).bags, lists_of(context, same).bags);
    EXPECT_EQ(batch.positions, same.positions);
    if (sequence) {
      EXPECT_EQ(batch.own_positions(), lists_of(context, same).first_position[rows.size()]);
    }
    expect_plans(context, batch);
    EXPECT_THAT(error_of([&] { batcher.assemble(rows, 1); }), HasSubstr("has no twins"));
  }
}

TEST(Features, ExamplesThatAreMadeStayAway) {
  const Context context(Device::cpu, 1);
  TestNumbers numbers(6);
  SmallData data = random_data(numbers);
  const auto examples = std::make_shared<const FixedExamples>(random_rows(numbers, data, 12), /*each=*/4);
  const FeatureStore store(context, data.source(), 5, examples), without(context, data.source(), 5);
  const std::vector<FeatureRow> rows = random_rows(numbers, data, 9);
  std::vector<std::int32_t> found(rows.size() * 4);
  examples->find(rows, found);
  const float made = 0;
  FeatureBatcher batcher(context, store, {.max_rows = 9, .made_examples = &made});
  FeatureBatcher left_out(context, store, {.max_rows = 9, .examples = false});
  FeatureBatcher naive(context, without, {9});
  const HostFeatures expected = lists_of(context, naive.make(context, rows));
  const FeatureBatch& batch = batcher.make(context, rows);
  EXPECT_EQ(lists_of(context, batch).bags, expected.bags);
  EXPECT_EQ(fetch(context, batch.examples.of_row, std::ssize(found)), found);
  EXPECT_EQ(batch.examples.made, &made);
  EXPECT_EQ(batch.examples.n, 0);
  const FeatureBatch& bare = left_out.make(context, rows);
  EXPECT_EQ(lists_of(context, bare).bags, expected.bags);
  EXPECT_EQ(bare.examples.each, 0);
}

TEST(Features, ExamplesFollowTheRowsEachOnce) {
  for (const bool sequence : {false, true}) expect_examples(Context(Device::cpu, 1), sequence);
}
TEST(Features, ListsAndPlansAreTheNaiveOnes) {
  expect_naive(Context(Device::cpu, 1), true);
}

/// Items and categories are staged: row 100 - id of a staged table is that of an id.
void expect_staged(const Context& context, bool sequence, bool plans) {
  TestNumbers numbers(5);
  SmallData data = random_data(numbers);
  const FeatureStore store(context, data.source(), 5);
  const FeatureBatcherOptions whole{.max_rows = 40, .sequence = sequence, .plans = plans};
  FeatureBatcherOptions options = whole;
  for (const Vocabulary v : {Vocabulary::item, Vocabulary::category})
    options.staged[static_cast<std::size_t>(v)] = true;
  FeatureBatcher batcher(context, store, options), other(context, store, whole);
  for (int round = 0; round < 2; ++round) {
    const std::vector<FeatureRow> rows = random_rows(numbers, data, 40);
    batcher.assemble(rows);
    for (const Vocabulary v : {Vocabulary::item, Vocabulary::category}) {
      std::vector<Id> places;
      for (const Id id : batcher.wanted(v)) places.push_back(id == 0 ? 0 : 100 - id);
      batcher.number_rows(v, places);
    }
    const FeatureBatch& batch = batcher.upload(context);
    const HostFeatures lists = lists_of(context, batch);
    EXPECT_EQ(lists.bags, lists_of(context, other.make(context, rows)).bags) << "ids stay what they are";
    FeatureBatch looked_up = batch;
    for (std::size_t f = 0; f < batch.fields.size(); ++f) {
      const Vocabulary v = vocabulary_of(static_cast<Field>(f));
      if (v != Vocabulary::item && v != Vocabulary::category) {
        EXPECT_EQ(batch.staged[f].ids, nullptr);
        continue;
      }
      looked_up.fields[f] = batch.staged[f];
    }
    const HostFeatures staged = lists_of(context, looked_up);
    for (std::size_t f = 0; f < batch.fields.size(); ++f) {
      if (batch.staged[f].ids == nullptr) continue;
      Lists expected = lists.bags[f];
      for (auto& list : expected) {
        for (Id& id : list) id = 100 - id;
      }
      EXPECT_EQ(staged.bags[f], expected) << f;
    }
  }
}

TEST(Features, StagedListsHaveTheNumbersOfTheRows) {
  for (const bool sequence : {false, true}) {
    for (const bool plans : {false, true}) expect_staged(Context(Device::cpu, 1), sequence, plans);
  }
}

TEST(Features, BatchersThatTakeTurnsShareSlots) {
  const Context context(Device::cpu, 1);
  TestNumbers numbers(6);
  SmallData data = random_data(numbers);
  const FeatureStore store(context, data.source(), 5);
  const auto slots = std::make_shared<PlanSlots>(store);
  FeatureBatcher one(context, store, {.max_rows = 20, .slots = slots}),
      two(context, store, {.max_rows = 20, .slots = slots});
  for (int round = 0; round < 3; ++round) {
    const auto first = random_rows(numbers, data, 20), second = random_rows(numbers, data, 20);
    one.assemble(first);
    two.assemble(second);
    expect_plans(context, one.upload(context));
    expect_plans(context, two.upload(context));
  }
}

TEST(Features, WithoutPlansThereAreNone) {
  expect_naive(Context(Device::cpu, 1), false);
}

TEST(Features, PooledMeansAreTheNaiveOnes) {
  const Context context(Device::cpu, 1);
  TestNumbers numbers(4);
  SmallData data = random_data(numbers);
  const FeatureStore store(context, data.source());
  FeatureBatcher batcher(context, store, {64, false, false});
  const std::vector<FeatureRow> rows = random_rows(numbers, data, 64);
  const HostFeatures lists = naive_lists(data, rows, 20);
  const std::vector<Field> fields{Field::user,          Field::brand,          Field::categories,
                                  Field::history_items, Field::history_brands, Field::history_categories};
  const Embedding<double> embedding(context, "embedding", 4, fields, store.table_rows(), {}, 1);
  const std::vector<double> x = embedding.forward(context, batcher.make(context, rows)).to_host(context);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::size_t f = 0; f < fields.size(); ++f) {
      const std::vector<double> table = embedding.table(vocabulary_of(fields[f]))->weights.to_host(context);
      const std::vector<Id>& ids = lists.of(fields[f])[row];
      for (std::size_t d = 0; d < 4; ++d) {
        double mean = 0;
        for (const Id id : ids)
          mean += table[static_cast<std::size_t>(id) * 4 + d] / static_cast<double>(ids.size());
        EXPECT_TRUE(near(x[row * 24 + f * 4 + d], mean, {1e-14, 1e-14}));
      }
    }
  }
}

TEST(Features, TablesHaveARowForEachIdAndThePadding) {
  const Context context(Device::cpu, 1);
  SmallData data = three_users();
  const FeatureStore store(context, data.source());
  EXPECT_EQ(store.table_rows(), (std::array<Id, kVocabularies>{4, 5, 3, 4}));
}

TEST(Features, DataWithoutAttributesGiveEmptyLists) {
  const Context context(Device::cpu, 1);
  SmallData data = three_users();
  data.brands.assign(4, {});
  data.categories.assign(4, {});
  const FeatureStore store(context, data.source());
  EXPECT_EQ(store.table_rows(), (std::array<Id, kVocabularies>{4, 5, 1, 1}));
  FeatureBatcher batcher(context, store, {4});
  const FeatureBatch& batch = batcher.make(context, kRows);
  const HostFeatures lists = lists_of(context, batch);
  EXPECT_EQ(lists.of(Field::brand), (Lists{{0}, {0}, {0}}));
  EXPECT_EQ(lists.of(Field::categories), (Lists{{}, {}, {}}));
  EXPECT_EQ(lists.of(Field::history_brands), (Lists{{}, {}, {}}));
  expect_plans(context, batch);
}

TEST(Features, ErrorsNameTheUserAndTheRemedy) {
  const Context context(Device::cpu, 1);
  SmallData data = three_users();
  const FeatureStore store(context, data.source());
  FeatureBatcher batcher(context, store, {2});
  const auto error = [&](const std::vector<FeatureRow>& rows) {
    return error_of([&] { batcher.assemble(rows); });
  };
  EXPECT_THAT(error({{4, 1, 0}}), HasSubstr("user id 4, but there are users 1 to 3"));
  EXPECT_THAT(error({{0, 1, 0}}), HasSubstr("user id 0"));
  EXPECT_THAT(error({{1, 5, 0}}), HasSubstr("user 'anna' has item id 5, but there are items 1 to 4"));
  EXPECT_THAT(error({{1, 0, 0}}), HasSubstr("item id 0"));
  EXPECT_THAT(error({{1, 1, 5}}), HasSubstr("user 'anna' sees the first 5 items of a history of 4"));
  EXPECT_THAT(error({{1, 1, -1}}), HasSubstr("positions of 0 to 4"));
  EXPECT_THAT(error({}), HasSubstr("a batch of 0 rows, but this batcher takes 1 to 2"));
  EXPECT_THAT(error(kRows), HasSubstr("a batch of 3 rows"));
  EXPECT_EQ(error({{1, 1, 4}, {3, 4, 0}}), "no error");
  EXPECT_THAT(error_of([&] { FeatureStore(context, data.source(), 0); }), HasSubstr("at least 1"));
  EXPECT_THAT(error_of([&] { FeatureBatcher(context, store, {0}); }), HasSubstr("at least 1"));
}

class FeaturesCuda : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  }
};
TEST_F(FeaturesCuda, ExamplesFollowTheRowsEachOnce) {
  for (const bool sequence : {false, true}) expect_examples(Context(Device::cuda), sequence);
}
TEST_F(FeaturesCuda, ListsAndPlansAreThoseOfTheCpu) {
  const Context context(Device::cuda);
  expect_staged(context, true, true);
  expect_pooled(context);
  expect_sequence(context);
  expect_naive(context, true);
}
TEST_F(FeaturesCuda, AnUploadedBatchHoldsWhileTheNextIsAssembled) {
  const Context context(Device::cuda);
  SmallData data = three_users();
  const FeatureStore store(context, data.source(), 3);
  FeatureBatcher batcher(context, store, {4});
  const FeatureBatch& batch = batcher.make(context, kRows);
  batcher.assemble(std::vector<FeatureRow>{{3, 2, 1}});
  EXPECT_EQ(lists_of(context, batch).of(Field::item), (Lists{{3}, {1}, {4}}));
}

}  // namespace
}  // namespace sllmr
