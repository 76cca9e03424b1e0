// Embeddings of deep backbones whose rows several ranks share out.
#include "host/train/shared_tables.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "models/registry.h"
#include "tests/host/train/rank_training.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

class SharedTablesTest : public RankTrainingTest {
 protected:
  SharedTablesTest() { evaluates_ = true; }
  /// Every table is shared out.
  Config config(const std::string& model, const std::string& method = "agreement",
                const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"model.name=" + model, "train.epochs=1", "train.micro_batches=4",
                                      "llm.pair_rate=0.25", "train.shard_above=0"};
    words.insert(words.end(), more.begin(), more.end());
    return recipe_of(small_ctr_words(folder_ / "synthetic", method, words));
  }
  void expect_same_by_ranks(const Config& config, Device device = Device::cpu) {
    const Trained alone = train(config, 1, 0, {}, device);
    ASSERT_FALSE(alone.checkpoint.empty());
    for (const int ranks : {2, 4}) {
      SCOPED_TRACE(ranks);
      const Trained together = train(config, ranks, 0, {}, device);
      EXPECT_TRUE(together.checkpoint == alone.checkpoint);
      EXPECT_EQ(together.report, alone.report);
      if (device == Device::cpu) {
        EXPECT_EQ(together.figures, alone.figures);
      }
    }
  }
};

/// Those that look rows of tables up.
std::vector<std::string> sharing_backbones() {
  std::vector<std::string> names;
  for (const BackboneInfo& backbone : backbones()) {
    if (backbone.name != "lightgcn") names.emplace_back(backbone.name);
  }
  return names;
}

class EverySharedBackbone : public SharedTablesTest, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(SharedTables, EverySharedBackbone, testing::ValuesIn(sharing_backbones()),
                         [](const auto& each) { return each.param; });

TEST_P(EverySharedBackbone, AnyNumberOfRanksTakesTheSameSteps) {
  for (const std::string method : {"none", "agreement"}) {
    SCOPED_TRACE(method);
    expect_same_by_ranks(config(GetParam(), method));
  }
}

TEST_P(EverySharedBackbone, AnyNumberOfRanksRanksAlike) {
  expect_same_by_ranks(config(GetParam(), "none", {"eval.protocol=full"}));
}

}  // namespace
}  // namespace sllmr
