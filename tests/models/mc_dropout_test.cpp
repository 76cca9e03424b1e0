// Monte Carlo dropout, for every backbone of the registry.
#include "models/mc_dropout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "models/adam/adam.h"
#include "models/registry.h"
#include "tests/support/compare.h"
#include "tests/support/features.h"

namespace sllmr {
namespace {

constexpr McDraws kDraws{.seed = 7, .step = 3, .passes = 8};

BackboneOptions mc_options(double dropout) {
  BackboneOptions options;
  options.width = 4;
  options.hidden = {16, 8};
  options.dropout = dropout;
  options.cin_sizes = {6, 4};
  options.attention_width = 8;
  options.din_attention_hidden = {5, 3};
  options.seed = 3;
  options.table_rows = {12, 12, 5, 8};
  options.interactions = {{1, 1}, {2, 3}};
  return options;
}

class EveryMcBackbone : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Backbone<float>> make(const Context& context, double dropout) const {
    auto model = find_backbone(GetParam())->make(context, mc_options(dropout));
    // Logits far enough from each other that passes differ.
    for (Embedding<float>* embedding : model->embeddings()) {
      for (const Vocabulary v :
           {Vocabulary::user, Vocabulary::item, Vocabulary::brand, Vocabulary::category}) {
        auto* table = embedding->table(v);
        if (table == nullptr) continue;
        std::vector<float> weights = table->weights.to_host(context);
        for (std::size_t k = static_cast<std::size_t>(embedding->width()); k < weights.size(); ++k) {
          weights[k] = 0.5F * static_cast<float>(static_cast<int>(k * 7 % 11) - 5) / 5;
        }
        copy_to_device(context, table->weights.data(), weights.data(), weights.size() * sizeof(float));
      }
    }
    return model;
  }
  std::vector<float> variance(const Context& context, const Backbone<float>& model,
                              const McDraws& draws = kDraws) const {
    TestNumbers numbers(8);
    const DeviceFeatures features(
        context, random_features(numbers, 12, mc_options(0).table_rows, 4, model.wants_sequence()));
    return mc_dropout_variance(context, model, features.batch(), draws).to_host(context);
  }
};
INSTANTIATE_TEST_SUITE_P(McDropout, EveryMcBackbone, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const BackboneInfo& each : backbones()) names.emplace_back(each.name);
                           return names;
                         }()),
                         [](const auto& each) { return each.param; });

TEST_P(EveryMcBackbone, VariesWhereTheRegistryKnowsOfDropout) {
  const Context context(Device::cpu, 1);
  const auto model = make(context, 0.5);
  const std::vector<float> spread = variance(context, *model);
  for (const float x : spread) EXPECT_TRUE(x >= 0 && x <= 1) << x;
  EXPECT_EQ(*std::ranges::max_element(spread) > 0, find_backbone(GetParam())->has_dropout);
  EXPECT_EQ(variance(context, *make(context, 0)), std::vector<float>(12));
}

TEST_P(EveryMcBackbone, IsTheSameOnTwoThreadsAndAnotherWithEveryOtherDraw) {
  const Context one(Device::cpu, 1), two(Device::cpu, 2);
  const auto model = make(one, 0.5);
  const std::vector<float> spread = variance(one, *model);
  EXPECT_EQ(variance(one, *model), spread);
  EXPECT_EQ(variance(two, *make(two, 0.5)), spread);
  if (!find_backbone(GetParam())->has_dropout) return;
  for (const McDraws& other : {McDraws{8, 3, 0, 8}, McDraws{7, 4, 0, 8}, McDraws{7, 3, 1, 8}}) {
    EXPECT_NE(variance(one, *model, other), spread);
  }
}

TEST_P(EveryMcBackbone, LeavesTheModelAsItIs) {
  const Context context(Device::cpu, 1);
  const auto model = make(context, 0.5);
  const auto state = [&] {
    std::vector<std::vector<float>> all;
    for (const NamedBuffer& named : named_buffers(*model)) {
      all.push_back(std::get<Buffer<float>*>(named.buffer)->to_host(context));
    }
    return all;
  };
  const auto before = state();
  variance(context, *model);
  EXPECT_EQ(state(), before);
}

// Masks are functions of counters, so both machines drop the same units; logits differ by their rounding.
TEST_P(EveryMcBackbone, CudaIsAsTheCpu) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context cpu(Device::cpu, 1), cuda(Device::cuda);
  EXPECT_TRUE(all_near(variance(cuda, *make(cuda, 0.5)), variance(cpu, *make(cpu, 0.5)), {2e-4, 2e-6}));
}

}  // namespace
}  // namespace sllmr
