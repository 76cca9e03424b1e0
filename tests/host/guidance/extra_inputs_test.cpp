// Methods that have the backbone read one more vector.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "host/data/features.h"
#include "host/guidance/registry.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"
#include "tests/support/compare.h"
#include "tests/support/fixed_examples.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

std::vector<std::string> methods() {
  std::vector<std::string> words;
  for (const GuidanceInfo& info : guidance_methods()) {
    if (info.extra != nullptr) words.push_back(info.words.front());
  }
  return words;
}

TEST(ExtraInputs, RefuseBackbonesWithoutAPlaceForThem) {
  ASSERT_FALSE(methods().empty());
  for (const std::string& method : methods()) {
    for (const char* model : {"mf", "lightgcn"}) {
      const std::vector<std::string> words{"method=" + method, std::string("model.name=") + model};
      EXPECT_THAT(error_of([&] { find_guidance(load_config("", words)); }),
                  HasSubstr(std::string("model.name=") + model + " has no place: use deepfm"));
    }
  }
}

TEST(ExtraInputs, AdaptorsNeedExperts) {
  const auto error = [](std::vector<std::string> words) {
    words.insert(words.end(), {"method=kar", "model.name=dcnv2"});
    return error_of([&] { find_guidance(load_config("", words)); });
  };
  EXPECT_THAT(error({"kar.shared=0", "kar.own=0"}), HasSubstr("0 experts"));
  EXPECT_THAT(error({"kar.shared=16", "kar.own=1"}), HasSubstr("17 experts"));
  for (const char* hidden : {"kar.hidden=[]", "kar.hidden=[0]", "kar.hidden=[64, 5000]", "kar.hidden=64"}) {
    EXPECT_THAT(error({hidden}), HasSubstr("array of integers in [1, 4096]")) << hidden;
  }
}

/// A row's vector is made of what came before it: what users do later changes no bit of it.
TEST(ExtraInputs, DoNotSeeWhatComesAfterTheRow) {
  const Context context(Device::cpu, 1);
  const std::vector<Id> history{1, 2, 3, 4, 5}, longer{1, 2, 3, 7, 8, 4, 5, 6};
  const std::vector<std::int64_t> offsets{0, 0, 3, 5}, longer_offsets{0, 0, 5, 8};
  FeatureSource before;
  before.name = "made up";
  before.user_rows = 3;
  before.item_rows = 9;
  before.brands.assign(9, 0);
  before.category_offsets.assign(10, 0);
  before.history = history;
  before.history_offsets = offsets;
  FeatureSource after = before;
  after.history = longer;
  after.history_offsets = longer_offsets;
  const std::vector<FeatureRow> rows{{1, 6, 3}, {1, 4, 1}, {2, 8, 2}, {2, 3, 0}};
  std::vector<float> values(9 * 5);
  for (std::size_t k = 5; k < values.size(); ++k) values[k] = std::sin(static_cast<float>(k));
  const ItemVectors vectors{5, std::make_shared<const std::vector<float>>(values)};
  for (const GuidanceInfo& info : guidance_methods()) {
    if (info.extra == nullptr) continue;
    SCOPED_TRACE(info.name);
    const std::vector<std::string> words{"method=" + info.words.front(), "model.name=deepfm"};
    Parameters<float> parameters;
    // The examples come before the rows that change.
    const auto examples = std::make_shared<const FixedExamples>(
        std::vector<FeatureRow>{{1, 7, 2}, {2, 1, 1}, {1, 2, 3}}, /*each=*/4);
    const auto vector = info.extra(load_config("", words), {vectors, examples.get(), nullptr, {}})
                            ->make(context, parameters, 4, {ExtraPlace::field});
    parameters.allocate(context, 1);
    for (const bool sequence : {false, true}) {
      const auto of = [&](const FeatureSource& source) {
        const FeatureStore store(context, source, 20, info.examples != nullptr ? examples : nullptr);
        FeatureBatcher batcher(context, store, {4, sequence, false});
        const FeatureBatch& batch = batcher.make(context, rows);
        const Tensor<float> out(context, 4, 4);
        const auto fields = Tensor<float>::zeros(context, batch.all_rows(), std::int64_t{kFields} * 4);
        vector->forward(context, batch, {}, fields, out, nullptr);
        return out.to_host(context);
      };
      EXPECT_EQ(of(before), of(after));
    }
  }
}

}  // namespace
}  // namespace sllmr
