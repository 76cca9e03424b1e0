// Embeddings of deep backbones whose rows several ranks share out.
#include "host/train/shared_tables.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <array>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "host/data/feature_source.h"
#include "host/train/micro_batches.h"
#include "kernels/exec/permutation.h"
#include "kernels/gates/columns.h"
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
  /// Under protocol `full` scores come from products whose last bit may depend on how many items a rank has:
  /// figures may then be this far apart.
  void expect_same_by_ranks(const Config& config, const std::vector<int>& numbers = {2, 4},
                            Device device = Device::cpu, double most_apart = 0) {
    const Trained alone = train(config, 1, 0, {}, device);
    ASSERT_FALSE(alone.checkpoint.empty());
    for (const int ranks : numbers) {
      SCOPED_TRACE(ranks);
      const Trained together = train(config, ranks, 0, {}, device);
      EXPECT_TRUE(together.checkpoint == alone.checkpoint);
      EXPECT_EQ(together.report, alone.report);
      if (device != Device::cpu) continue;
      const nlohmann::json figures = together.figures.flatten(), expected = alone.figures.flatten();
      ASSERT_EQ(figures.size(), expected.size());
      for (const auto& [name, value] : expected.items()) {
        if (most_apart == 0 || !value.is_number_float()) {
          EXPECT_EQ(figures[name], value) << name;
        } else if (name.ends_with("/all")) {  // other slices may be of few users
          EXPECT_NEAR(figures[name].get<double>(), value.get<double>(), most_apart) << name;
        }
      }
    }
  }
};

std::vector<std::string> sharing_backbones() {
  std::vector<std::string> names;
  for (const BackboneInfo& backbone : backbones()) {
    if (backbone.looks_up_rows) names.emplace_back(backbone.name);
  }
  return names;
}

class EverySharedBackbone : public SharedTablesTest, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(SharedTables, EverySharedBackbone, testing::ValuesIn(sharing_backbones()),
                         [](const auto& each) { return each.param; });

TEST_P(EverySharedBackbone, AnyNumberOfRanksTakesTheSameSteps) {
  for (const std::string optimizer : {"adam", "lazy_adam"}) {
    SCOPED_TRACE(optimizer);
    expect_same_by_ranks(config(GetParam(), "agreement", {"train.optimizer=" + optimizer, "train.l2=1e-4"}));
  }
}

TEST_P(EverySharedBackbone, AnyNumberOfRanksTakesTheSameStepsOnCuda) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_same_by_ranks(config(GetParam()), {2}, Device::cuda);
}

TEST_P(EverySharedBackbone, AnyNumberOfRanksRanksAlike) {
  expect_same_by_ranks(
      config(GetParam(), "none", {"eval.protocol=full", "eval.lists=true", "eval.topk=[3, 10]", "threads=2"}),
      {2, 4}, Device::cpu, 0.01);
}

/// Extra vectors, examples that batches bring along, probes, gradients that are compared, passes of dropout.
TEST_F(SharedTablesTest, EveryMethodSeesWhatItSeesAlone) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"none", {}},
      {"calibrated", {"gate.rule=mlp"}},
      {"calibrated", {"gate.uncertainty=mc_dropout", "gate.mc_passes=2"}},
      {"alignment", {"llm.max_pairs_per_batch=7"}},
      {"budget", {"train.loss=bpr"}},
      {"kd", {}},
      {"weights", {}},
      {"text", {}},
      {"kar", {}},
      {"llmcf_text", {}},
      {"llmcf_wocot", {"model.name=din"}}};
  for (const auto& [method, words] : cases) {
    SCOPED_TRACE(method + (words.empty() ? "" : " " + words.front()));
    expect_same_by_ranks(config("deepfm", method, words), {2});
  }
}

/// More users than are fetched at once, and more items than a tile of the catalogue has.
TEST_F(SharedTablesTest, LargerWorldsAreRankedAlike) {
  save_recbole(world_with_attributes(410, 2500), folder_ / "large");
  for (const std::string model : {"deepfm", "din"}) {
    SCOPED_TRACE(model);
    expect_same_by_ranks(
        config(model, "none",
               {"data.path=" + folder_ / "large/synthetic", "eval.protocol=full", "train.epochs=0"}),
        {2, 4}, Device::cpu, 0.005);
  }
}

/// In the middle of a chunk.
TEST_F(SharedTablesTest, AnotherNumberGoesOnWhereOneStopped) {
  expect_other_ranks_go_on(config("deepfm", "calibrated", {"gate.rule=mlp"}),
                           {{1, 4}, {2, 1}, {4, 2}, {2, 4}});
}

TEST_F(SharedTablesTest, SmallTablesStayWhole) {
  // Tables of 199 items take .02 MB, those of 121 users .012.
  const Config items_alone = config("deepfm", "agreement", {"train.shard_above=0.015"});
  expect_same_by_ranks(items_alone);
  ThreadRanks::run(2, [&](Communicator& own) {
    Bench bench(items_alone, 1, Device::cpu, &own);
    for (const NamedBuffer& named : bench.trainer().named_buffers())
      EXPECT_EQ(named.shard.is_whole(), named.name.find(".item") == named.name.npos) << named.name;
  });
}

TEST_F(SharedTablesTest, NoRankKeepsMoreThanItsShare) {
  const Config all = config("deepfm");
  const std::int64_t alone = train(all, 1).kept[0];
  for (const int ranks : {2, 4}) {
    for (const std::int64_t kept : train(all, ranks).kept)
      EXPECT_LT(static_cast<double>(kept), 1.1 * static_cast<double>(alone) / ranks) << ranks;
  }
}

/// docs/clusters.md.
TEST_F(SharedTablesTest, SendsWhatTheFormulaSays) {
  evaluates_ = false;
  constexpr std::int64_t kBatch = 64, kParts = 4;
  const Config all = config("deepfm", "none", {"model.width=32"});
  Bench bench(all);
  const Context context(Device::cpu, 1);
  const Split& split = bench.split();
  const std::vector<CtrRow> rows = ctr_train_rows(split, all.seed);
  const FeatureStore store(context, feature_source(*split.data), all.data.max_history);
  FeatureBatcher batcher(context, store, {.max_rows = kBatch});
  const Permutation shuffle(all.seed, 0, rows.size());
  const std::int64_t n = std::ssize(rows), chunks = (n + all.train.chunk_rows - 1) / all.train.chunk_rows;
  std::int64_t dense = 0;
  for (const NamedBuffer& named : bench.trainer().named_buffers()) {
    if (named.name == "parameters" || named.name == "state") dense += named.shape[0];
  }
  for (const int ranks : {2, 4}) {
    const double others = ranks - 1;
    double formula = others / ranks * GateColumns::stride * 4 * kParts *
                     static_cast<double>(most_micro_batch_rows(kBatch, kParts) * chunks);
    for (std::int64_t first = 0; first < n; first += kBatch) {
      const std::int64_t count = std::min(kBatch, n - first);
      formula += 4 * 2 * others / ranks * static_cast<double>(dense);
      std::array<double, kVocabularies> looked_up{};
      for (int r = 0; r < ranks; ++r) {
        std::vector<FeatureRow> own;
        for (std::int64_t k = first + count * r / ranks; k < first + count * (r + 1) / ranks; ++k) {
          const CtrRow& row = rows[shuffle(static_cast<std::uint64_t>(k))];
          own.push_back({row.user, row.item, row.position});
        }
        batcher.assemble(own);
        for (std::size_t v = 0; v < looked_up.size(); ++v)
          looked_up[v] += static_cast<double>(batcher.host().plans[v].n) / ranks;
      }
      for (const double each : looked_up) formula += shared_step_bytes(ranks, each, std::array{32, 1});
    }
    const std::vector<std::int64_t> sent = train(all, ranks).sent;
    const double mean =
        static_cast<double>(std::accumulate(sent.begin(), sent.end(), std::int64_t{0})) / ranks;
    EXPECT_NEAR(mean, formula, 0.1 * formula) << ranks;
  }
}

TEST_F(SharedTablesTest, TellsWhereEveryRankCouldKeepAll) {
  const auto remarks = [&](const Config& config) {
    std::vector<std::string> all(2);
    ThreadRanks::run(2, [&](Communicator& own) {
      all[static_cast<std::size_t>(own.rank())] = Bench(config, 1, Device::cpu, &own).trainer().remark();
    });
    return all;
  };
  EXPECT_THAT(remarks(config("deepfm")),
              testing::Each(HasSubstr("2 ranks shard tables of embeddings of 0.")));
  EXPECT_THAT(remarks(config("deepfm", "none", {"train.shard_above=1"})), testing::Each(""));
  EXPECT_EQ(Bench(config("deepfm")).trainer().remark(), "");
}

TEST_F(SharedTablesTest, RefusesWhatHasNoUseForIt) {
  const auto error = [&](const std::vector<std::string>& words) {
    return error_of([&] { Bench(recipe_of(small_ctr_words(folder_ / "synthetic", "none", words))); });
  };
  EXPECT_THAT(error({"model.name=lightgcn", "train.shard_above=1"}),
              HasSubstr("model.name=lightgcn reads every row in every step"));
  EXPECT_THAT(error({"model.name=mf", "model.width=32", "train.loss=bpr", "train.shard_above=1"}),
              HasSubstr("several ranks share out all rows of mf"));
  std::vector<std::string> errors(32);
  ThreadRanks::run(32, [&](Communicator& own) {
    errors[static_cast<std::size_t>(own.rank())] = error_of([&] {
      table_shards(config("deepfm"), own, {100, 21, 5, 5});
    });
  });
  EXPECT_THAT(errors, testing::Each(HasSubstr("20 items for 32 ranks: start fewer")));
}

}  // namespace
}  // namespace sllmr
