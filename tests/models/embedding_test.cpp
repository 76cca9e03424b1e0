#include "models/layers/embedding/embedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/exec/random.h"
#include "models/backbones/fields.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/features.h"

namespace sllmr {
namespace {

using testing::HasSubstr;
using Kind = EmbeddingInitial::Kind;

constexpr std::array<Id, kVocabularies> kTableRows{7, 12, 5, 8};
const std::vector<Field> kEveryField(kAllFields.begin(), kAllFields.end());

template <class Real>
Embedding<Real> make(const Context& context, int width, const std::vector<Field>& fields = kEveryField,
                     const EmbeddingInitial& initial = {}, std::uint64_t seed = 3) {
  return Embedding<Real>(context, "embedding", width, fields, kTableRows, initial, seed);
}

/// The mean of a bag in double precision.
template <class Real>
std::vector<double> mean_of(const std::vector<Real>& table, int width, const std::vector<Id>& bag) {
  std::vector<double> mean(static_cast<std::size_t>(width));
  for (const Id id : bag) {
    for (std::size_t d = 0; d < mean.size(); ++d) {
      mean[d] += static_cast<double>(table[static_cast<std::size_t>(id) * mean.size() + d]) /
                 static_cast<double>(bag.size());
    }
  }
  return mean;
}

template <class Real>
std::vector<double> expected(const Context& context, const Embedding<Real>& embedding,
                             const HostFeatures& features, Field field) {
  const std::vector<Real> table = embedding.table(vocabulary_of(field))->weights.to_host(context);
  std::vector<double> out;
  for (const auto& bag : features.of(field)) {
    const std::vector<double> mean = mean_of(table, embedding.width(), bag);
    out.insert(out.end(), mean.begin(), mean.end());
  }
  return out;
}

template <class Real>
void expect_lookup(const Context& context, int width, bool sequence, Tolerance tolerance) {
  SCOPED_TRACE(width);
  TestNumbers numbers(5);
  const HostFeatures features = random_features(numbers, 9, kTableRows, 4, sequence);
  const DeviceFeatures device(context, features);
  const Embedding<Real> embedding = make<Real>(context, width);
  for (const Field field : kEveryField) {
    const Tensor<Real> out(context, device.batch().bags(field), width);
    embedding.lookup(context, device.batch(), field, out);
    EXPECT_TRUE(all_near(out.to_host(context), expected(context, embedding, features, field), tolerance));
  }
}

TEST(Embedding, LooksUpTheMeanOfEachBag) {
  const Context context(Device::cpu, 2);
  for (const bool sequence : {false, true}) {
    for (const int width : {1, 4, 8, 32, 45, 64}) {
      expect_lookup<float>(context, width, sequence, {1e-6, 1e-6});
      expect_lookup<double>(context, width, sequence, {1e-14, 1e-14});
    }
  }
}

TEST(Embedding, AnEmptyBagIsZeroAndABrandOfNoneIsRow0) {
  const Context context(Device::cpu, 1);
  HostFeatures features;
  features.bags = {{{{1}, {2}}, {{3}, {4}}, {{0}, {2}}, {{}, {1, 1, 2}}, {{}, {}}, {{}, {}}, {{}, {}}}};
  const DeviceFeatures device(context, features);
  const auto embedding = make<float>(context, 3, kEveryField, {Kind::xavier});
  const std::vector<float> x = embedding.forward(context, device.batch()).to_host(context);
  const std::vector<float> brands = embedding.table(Vocabulary::brand)->weights.to_host(context);
  EXPECT_TRUE(std::equal(brands.begin(), brands.begin() + 3, x.begin() + 6)) << "one row, its own bits";
  EXPECT_NE(brands[0], 0);
  EXPECT_EQ(std::vector<float>(x.begin() + 9, x.begin() + 21), std::vector<float>(12))
      << "no categories, no history";
}

TEST(Embedding, WritesASliceOfColumnsAndLeavesTheRest) {
  const Context context(Device::cpu, 1);
  TestNumbers numbers(6);
  const HostFeatures features = random_features(numbers, 5, kTableRows, 4);
  const DeviceFeatures device(context, features);
  const auto embedding = make<double>(context, 4);
  const auto all = Tensor<double>::zeros(context, 5, 10);
  embedding.lookup(context, device.batch(), Field::item, all.columns(3, 4));
  const std::vector<double> out = all.to_host(context),
                            items = expected(context, embedding, features, Field::item);
  for (std::size_t k = 0; k < out.size(); ++k) {
    const std::size_t row = k / 10, column = k % 10;
    EXPECT_EQ(out[k], column >= 3 && column < 7 ? items[row * 4 + column - 3] : 0) << k;
  }
}

TEST(Embedding, ForwardPutsTheFieldsSideBySideInTheirOrder) {
  const Context context(Device::cpu, 2);
  TestNumbers numbers(7);
  const HostFeatures features = random_features(numbers, 6, kTableRows, 5);
  const DeviceFeatures device(context, features);
  const std::vector<Field> fields{Field::history_items, Field::user, Field::brand};
  const auto embedding = make<double>(context, 8, fields);
  const std::vector<double> x = embedding.forward(context, device.batch()).to_host(context);
  ASSERT_EQ(x.size(), 6U * 24);
  for (std::size_t f = 0; f < fields.size(); ++f) {
    const std::vector<double> mean = expected(context, embedding, features, fields[f]);
    for (std::size_t row = 0; row < 6; ++row) {
      for (std::size_t d = 0; d < 8; ++d) {
        EXPECT_TRUE(near(x[row * 24 + f * 8 + d], mean[row * 8 + d], {1e-14, 1e-14}));
      }
    }
  }
}

TEST(Embedding, OwnsTheTablesThatItsFieldsNeed) {
  const Context context(Device::cpu, 1);
  const auto embedding =
      make<float>(context, 2, {Field::history_categories, Field::item, Field::history_items});
  ASSERT_EQ(embedding.tables().size(), 2U);
  EXPECT_EQ(embedding.tables()[0].name, "embedding.item");
  EXPECT_EQ(embedding.tables()[1].name, "embedding.category");
  EXPECT_EQ(embedding.tables()[1].rows, 8);
  EXPECT_EQ(embedding.tables()[1].weights.size(), 16U);
  EXPECT_EQ(embedding.table(Vocabulary::user), nullptr);
  EXPECT_EQ(embedding.table(Vocabulary::item), &embedding.tables()[0]);
}

/// Of the elements after row 0.
void expect_normal(const std::vector<float>& table, int width, double deviation) {
  double sum = 0, squares = 0, fourth = 0;
  for (std::size_t k = static_cast<std::size_t>(width); k < table.size(); ++k) {
    const double x = static_cast<double>(table[k]) / deviation;
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  const double n = static_cast<double>(table.size()) - width;
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96 / n));
}

TEST(Embedding, StartsAsAsked) {
  const Context context(Device::cpu, 2);
  constexpr int kWidth = 16;
  constexpr Id kMany = 5000;
  const auto start = [&](const EmbeddingInitial& initial) {
    const std::vector<Field> fields{Field::user};
    const Embedding<float> embedding(context, "embedding", kWidth, fields, {kMany, 1, 1, 1}, initial, 3);
    return embedding.tables()[0].weights.to_host(context);
  };
  const auto row_0_is_zero = [](const std::vector<float>& table) {
    return std::all_of(table.begin(), table.begin() + kWidth, [](float x) { return x == 0; });
  };
  const std::vector<float> standard = start({}), xavier = start({Kind::xavier}),
                           narrow = start({Kind::normal, 0.02});
  expect_normal(standard, kWidth, 1);
  expect_normal(xavier, kWidth, std::sqrt(2.0 / (kMany + kWidth)));
  expect_normal(narrow, kWidth, 0.02);
  EXPECT_TRUE(row_0_is_zero(standard));
  EXPECT_TRUE(row_0_is_zero(narrow));
  EXPECT_TRUE(std::all_of(xavier.begin(), xavier.begin() + kWidth, [](float x) { return x != 0; }));
}

TEST(Embedding, InitialValuesDependOnSeedNameAndPositionAlone) {
  const Context one(Device::cpu, 1), two(Device::cpu, 2);
  const std::vector<Field> fields{Field::item, Field::user};
  const auto table = [&](const Context& context, const char* prefix, Id rows, std::uint64_t seed,
                         std::size_t which) {
    const Embedding<float> embedding(context, prefix, 4, fields, {rows, rows, 1, 1}, {}, seed);
    return embedding.tables()[which].weights.to_host(context);
  };
  const std::vector<float> users = table(one, "embedding", 10, 3, 0),
                           more = table(two, "embedding", 20, 3, 0);
  EXPECT_TRUE(std::equal(users.begin(), users.end(), more.begin()));
  EXPECT_NE(users, table(one, "embedding", 10, 3, 1)) << "tables share their draws";
  EXPECT_NE(users, table(one, "first_order", 10, 3, 0)) << "sets of tables share their draws";
  EXPECT_NE(users, table(one, "embedding", 10, 4, 0));
  const Draw slab = philox(3, 0, 5, Purpose::init_layer);
  EXPECT_NE(users[5], normal(slab.word[0], slab.word[1])) << "tables share the draws of dense parameters";
}

TEST(Embedding, KeepsGradientsUntilTheyAreCleared) {
  const Context context(Device::cpu, 1);
  auto embedding = make<float>(context, 2, {Field::user, Field::item});
  const auto d_out = Tensor<float>::from(context, 1, 4, std::vector<float>{1, 2, 3, 4});
  embedding.backward(d_out);
  EXPECT_EQ(embedding.gradient(Field::user).data(), d_out.data());
  EXPECT_EQ(embedding.gradient(Field::item).data(), d_out.data() + 2);
  EXPECT_EQ(embedding.gradient(Field::item).stride(), 4);
  EXPECT_EQ(embedding.gradient(Field::brand).data(), nullptr);
  embedding.clear_gradients();
  EXPECT_EQ(embedding.gradient(Field::item).data(), nullptr);
}

TEST(Embedding, RefusesWhatHasNoMeaning) {
  const Context context(Device::cpu, 1);
  const std::vector<Field> fields{Field::user}, none;
  const auto error = [&](int width, const std::vector<Field>& of, Id rows, double deviation) {
    return error_of([&] {
      Embedding<float>(context, "embedding", width, of, {rows, 1, 1, 1}, {Kind::normal, deviation}, 1);
    });
  };
  EXPECT_THAT(error(0, fields, 4, 1), HasSubstr("width of 'embedding' is 0"));
  EXPECT_THAT(error(4, none, 4, 1), HasSubstr("fields"));
  EXPECT_THAT(error(4, fields, 0, 1), HasSubstr("'embedding.user' has no rows"));
  EXPECT_THAT(error(4, fields, 4, -1), HasSubstr("deviation"));
  EXPECT_THAT(error(4, fields, 4, std::nan("")), HasSubstr("deviation"));

  TestNumbers numbers(8);
  const DeviceFeatures pooled(context, random_features(numbers, 3, kTableRows, 4)),
      sequence(context, random_features(numbers, 3, kTableRows, 4, true));
  auto embedding = make<float>(context, 4, {Field::item, Field::history_items});
  const Tensor<float> small(context, 2, 4), wide(context, 3, 5), good(context, 3, 4);
  EXPECT_THAT(error_of([&] { embedding.lookup(context, pooled.batch(), Field::user, good); }),
              HasSubstr("no table for the field 'user'"));
  EXPECT_THAT(error_of([&] { embedding.lookup(context, pooled.batch(), Field::item, small); }),
              HasSubstr("'item'"));
  EXPECT_THAT(error_of([&] { embedding.lookup(context, pooled.batch(), Field::item, wide); }),
              HasSubstr("'item'"));
  EXPECT_THAT(error_of([&] { embedding.forward(context, sequence.batch()); }), HasSubstr("sequence"));
  EXPECT_THAT(error_of([&] { embedding.set_gradient(Field::user, good); }), HasSubstr("'user'"));
  EXPECT_THAT(error_of([&] { embedding.set_gradient(Field::item, wide); }), HasSubstr("as wide"));
  EXPECT_THAT(error_of([&] { embedding.backward(wide); }), HasSubstr("fields * width"));
}

class EmbeddingCuda : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  }
};
TEST_F(EmbeddingCuda, LooksUpTheMeanOfEachBag) {
  const Context context(Device::cuda);
  for (const bool sequence : {false, true}) {
    for (const int width : {1, 4, 32, 45, 64}) {
      expect_lookup<float>(context, width, sequence, {1e-6, 1e-6});
      expect_lookup<double>(context, width, sequence, {1e-14, 1e-14});
    }
  }
}
TEST_F(EmbeddingCuda, StartsFromTheSameBitsAsOnTheCpu) {
  const Context cpu(Device::cpu), cuda(Device::cuda);
  EXPECT_EQ(make<float>(cpu, 4).tables()[1].weights.to_host(cpu),
            make<float>(cuda, 4).tables()[1].weights.to_host(cuda));
}

}  // namespace
}  // namespace sllmr
