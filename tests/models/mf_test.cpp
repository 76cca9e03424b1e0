#include "models/mf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/exec/error.h"
#include "kernels/exec/random.h"

namespace sllmr {
namespace {

MfOptions options(OptimizerKind optimizer = OptimizerKind::sgd, int width = 32) {
  return {width, 0.1, 7, optimizer};
}

std::vector<float> weights(const Context& context, Mf& model, std::size_t which) {
  return std::get<Buffer<float>*>(model.named_buffers()[which].buffer)->to_host(context);
}

std::vector<std::string> names(Mf& model) {
  std::vector<std::string> out;
  for (const NamedBuffer& named : model.named_buffers()) out.push_back(named.name);
  return out;
}

TEST(Mf, StartsFromANormalDistribution) {
  const Context context(Device::cpu);
  Mf model(context, 2000, 50, options(OptimizerKind::sgd, 64));
  const std::vector<float> users = weights(context, model, 0);
  EXPECT_TRUE(std::all_of(users.begin(), users.begin() + 64, [](float x) { return x == 0; })) << "padding";
  double sum = 0, squares = 0, fourth = 0;
  for (std::size_t k = 0; k < users.size(); ++k) {
    const double x = users[k];
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  const double n = 1999 * 64;
  EXPECT_NEAR(sum / n, 0.0, 5 * 0.1 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 0.01, 0.0003);
  EXPECT_NEAR(fourth / n, 3 * 0.0001, 3e-5);
}

TEST(Mf, InitialValuesDependOnSeedAndPositionAlone) {
  const Context one(Device::cpu, 1), two(Device::cpu, 2);
  Mf small(one, 10, 12, options()), large(two, 20, 30, options());
  for (const std::size_t table : {std::size_t{0}, std::size_t{1}}) {
    const std::vector<float> a = weights(one, small, table), b = weights(two, large, table);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
  }
  EXPECT_NE(weights(one, small, 0), weights(one, small, 1)) << "users and items share their draws";
  const Draw draw = philox(7, 0, 5 * 32 + 3, Purpose::init_item);
  EXPECT_EQ(weights(one, small, 1)[5 * 32 + 3], 0.1F * normal(draw.word[0], draw.word[1]));
  MfOptions other = options();
  other.seed = 8;
  Mf reseeded(one, 10, 12, other);
  EXPECT_NE(weights(one, small, 0), weights(one, reseeded, 0));
}

TEST(Mf, ABiasOfItemsIsALastNumberOfTheirs) {
  const Context context(Device::cpu);
  MfOptions with = options();
  with.item_bias = true;
  Mf plain(context, 5, 6, options()), biased(context, 5, 6, with);
  EXPECT_TRUE(biased.users().last_is_one);
  EXPECT_FALSE(biased.items().last_is_one || plain.users().last_is_one);
  for (const std::size_t table : {std::size_t{0}, std::size_t{1}}) {
    std::vector<float> expected = weights(context, plain, table);
    for (std::size_t last = 2 * 32 - 1; last < expected.size(); last += 32) {
      expected[last] = table == 0 ? 1.0F : 0.0F;
    }
    EXPECT_EQ(weights(context, biased, table), expected);
  }
}

TEST(Mf, OwnsTheStateItsOptimiserNeeds) {
  const Context context(Device::cpu);
  using Names = std::vector<std::string>;
  Mf sgd(context, 4, 6, options(OptimizerKind::sgd));
  EXPECT_EQ(names(sgd), (Names{"users.weights", "items.weights"}));
  EXPECT_EQ(sgd.users().first, nullptr);
  Mf adagrad(context, 4, 6, options(OptimizerKind::adagrad));
  EXPECT_EQ(names(adagrad), (Names{"users.weights", "users.first", "items.weights", "items.first"}));
  Mf adam(context, 4, 6, options(OptimizerKind::adam));
  EXPECT_EQ(names(adam), (Names{"users.weights", "users.first", "users.second", "items.weights",
                                "items.first", "items.second"}));
  EXPECT_EQ(adam.items().steps, nullptr);
  Mf lazy(context, 4, 6, options(OptimizerKind::lazy_adam));
  EXPECT_EQ(names(lazy), (Names{"users.weights", "users.first", "users.second", "users.steps",
                                "items.weights", "items.first", "items.second", "items.steps"}));
  for (const OptimizerInfo& info : kOptimizers) {
    Mf model(context, 4, 6, options(info.kind));
    const TableView table = model.items();
    EXPECT_EQ(table.first != nullptr, info.moments > 0) << info.name;
    EXPECT_EQ(table.second != nullptr, info.moments > 1) << info.name;
    EXPECT_EQ(table.steps != nullptr, info.counts_steps) << info.name;
  }
}

TEST(Mf, NamedBuffersAreTheTablesThemselves) {
  const Context context(Device::cpu);
  Mf model(context, 4, 6, options(OptimizerKind::lazy_adam));
  const std::vector<NamedBuffer> named = model.named_buffers();
  EXPECT_EQ(std::get<Buffer<float>*>(named[0].buffer)->data(), model.users().weights);
  EXPECT_EQ(std::get<Buffer<float>*>(named[2].buffer)->data(), model.users().second);
  EXPECT_EQ(std::get<Buffer<std::int32_t>*>(named[7].buffer)->data(), model.items().steps);
  for (const NamedBuffer& each : named) {
    std::int64_t size = 1;
    for (const std::int64_t extent : each.shape) size *= extent;
    std::visit([&](const auto* buffer) { EXPECT_EQ(static_cast<std::int64_t>(buffer->size()), size); },
               each.buffer);
    EXPECT_EQ(each.shape[0], each.name.starts_with("users") ? 4 : 6);
  }
}

/// Tiles and pairs against products in double precision.
void expect_scores(const Context& context) {
  Mf model(context, 40, 70, options(OptimizerKind::sgd, 64));
  const std::vector<float> u = weights(context, model, 0), v = weights(context, model, 1);
  const auto logit = [&](Id user, Id item) {
    double sum = 0;
    for (std::size_t d = 0; d < 64; ++d) {
      sum += static_cast<double>(u[static_cast<std::size_t>(user) * 64 + d]) *
             v[static_cast<std::size_t>(item) * 64 + d];
    }
    return sum;
  };
  const std::vector<Id> users{5, 39, 1, 5}, items{69, 1, 30, 2};
  const Buffer<Id> user_ids(context, std::span<const Id>(users)),
      item_ids(context, std::span<const Id>(items));
  Buffer<float> scratch(context, static_cast<std::size_t>(model.scratch_floats(4))), tile(context, 4 * 70),
      pairs(context, 4);
  model.score_tile(context, user_ids.data(), 4, scratch.data(), tile.data());
  model.score_pairs(context, user_ids.data(), item_ids.data(), 4, pairs.data());
  const std::vector<float> logits = tile.to_host(context), of_pairs = pairs.to_host(context);
  for (std::size_t k = 0; k < users.size(); ++k) {
    for (Id item = 1; item < 70; ++item) {
      EXPECT_NEAR(logits[k * 70 + static_cast<std::size_t>(item)], logit(users[k], item), 1e-6);
    }
    EXPECT_NEAR(of_pairs[k], logit(users[k], items[k]), 1e-6);
  }
}

TEST(Mf, ScoresAreProductsOfRows) {
  expect_scores(Context(Device::cpu));
}

TEST(Mf, RefusesWhatHasNoMeaning) {
  const Context context(Device::cpu);
  EXPECT_THROW(Mf(context, 4, 6, options(OptimizerKind::sgd, 48)), Error);
  EXPECT_THROW(Mf(context, 1, 6, options()), Error);
  EXPECT_THROW(Mf(context, 4, 1, options()), Error);
  MfOptions bad = options();
  bad.init_std = -0.1;
  EXPECT_THROW(Mf(context, 4, 6, bad), Error);
  bad.init_std = std::nan("");
  EXPECT_THROW(Mf(context, 4, 6, bad), Error);
}

class MfCuda : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  }
};
TEST_F(MfCuda, ScoresAreProductsOfRows) {
  expect_scores(Context(Device::cuda));
}
TEST_F(MfCuda, StartsFromTheSameBitsAsOnTheCpu) {
  const Context cpu(Device::cpu), cuda(Device::cuda);
  Mf here(cpu, 40, 70, options()), there(cuda, 40, 70, options());
  EXPECT_EQ(weights(cpu, here, 0), weights(cuda, there, 0));
  EXPECT_EQ(weights(cpu, here, 1), weights(cuda, there, 1));
}

}  // namespace
}  // namespace sllmr
