#include "host/train/mf_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "host/train/stored_model.h"
#include "tests/host/train/bench.h"

namespace sllmr {
namespace {

/// Options of training a few epochs in one mode, where what starts random starts at 0.
std::vector<std::string> from_zero(const std::string& path, const std::string& mode,
                                   const std::vector<std::string>& more) {
  std::vector<std::string> words = {"data.path=" + path,  "device=cpu",     "method=none",
                                    "train.mode=" + mode, "model.width=32", "model.init_std=0",
                                    "train.epochs=10",    "train.lr=0.05"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

class ItemBias : public testing::TestWithParam<std::vector<std::string>> {
 protected:
  void SetUp() override { save_recbole(synthetic_dataset(small_world(400, 200)), folder_.path()); }
  std::vector<float> table(Bench& bench, const std::string& name) const {
    for (const NamedBuffer& named : bench.trainer().named_buffers()) {
      if (named.name == name) return std::get<Buffer<float>*>(named.buffer)->to_host(context_);
    }
    ADD_FAILURE() << name << " is not there";
    return {};
  }
  std::vector<std::string> words(const std::vector<std::string>& more) const {
    std::vector<std::string> all = GetParam();
    all.insert(all.end(), more.begin(), more.end());
    return from_zero(folder_ / "synthetic", all.front(), {all.begin() + 1, all.end()});
  }

  const Context context_{Device::cpu, 1};
  TemporaryFolder folder_;
};

TEST_P(ItemBias, IsAllThatLearnsWhereEverythingElseIsZero) {
  Bench without(recipe_of(words({"model.item_bias=false"}))),
      with(recipe_of(words({"model.item_bias=true"})));
  without.train();
  with.train();
  for (const float x : table(without, "items.weights")) ASSERT_EQ(x, 0);
  const std::vector<float> users = table(with, "users.weights"), items = table(with, "items.weights");
  std::vector<int> taken(items.size() / 32);
  for (const Interaction& each : training_interactions(with.split())) {
    ++taken[static_cast<std::size_t>(each.item)];
  }
  const auto rest_is_zero = [](const std::vector<float>& cells, std::size_t row) {
    const auto* first = cells.data() + 32 * row;
    return std::all_of(first, first + 31, [](float x) { return x == 0; });
  };
  for (std::size_t user = 1; user < users.size() / 32; ++user) {
    ASSERT_TRUE(rest_is_zero(users, user));
    ASSERT_EQ(users[32 * user + 31], 1);
  }
  // What is taken most ends above what is taken least.
  double most = 0, least = 0;
  std::vector<std::size_t> order;
  for (std::size_t item = 1; item < taken.size(); ++item) {
    ASSERT_TRUE(rest_is_zero(items, item));
    order.push_back(item);
  }
  std::ranges::sort(order, {}, [&](std::size_t item) { return taken[item]; });
  constexpr std::size_t kEach = 40;
  for (std::size_t k = 0; k < kEach; ++k) {
    least += items[32 * order[k] + 31];
    most += items[32 * order[order.size() - 1 - k] + 31];
  }
  EXPECT_GT(most / kEach, least / kEach + 0.05);
}

TEST_P(ItemBias, NegativesByPopularityAreHarder) {
  const auto loss = [this](const char* power) {
    Bench bench(recipe_of(words({"model.item_bias=true", std::string("train.negative_power=") + power})));
    return bench.train().loss;
  };
  EXPECT_GT(loss("1"), loss("0")) << "with biases alone, what is popular is all that is known";
}

INSTANTIATE_TEST_SUITE_P(
    Modes, ItemBias,
    testing::Values(std::vector<std::string>{"fused", "train.optimizer=sgd"},
                    std::vector<std::string>{"fused", "train.optimizer=adagrad"},
                    std::vector<std::string>{"fused", "train.optimizer=lazy_adam"},
                    std::vector<std::string>{"exact", "train.optimizer=lazy_adam", "train.batch_size=64"},
                    std::vector<std::string>{"exact", "train.optimizer=adam", "train.batch_size=64"}),
    [](const auto& parameter) { return parameter.param[0] + "_" + parameter.param[1].substr(16); });

}  // namespace
}  // namespace sllmr
