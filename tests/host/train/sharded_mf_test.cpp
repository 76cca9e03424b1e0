// Matrix factorisation whose rows several ranks share out.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "kernels/optimizer_list.h"
#include "kernels/sharded_mf_batch.h"
#include "tests/host/train/rank_training.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

class ShardedMf : public RankTrainingTest {
 protected:
  ShardedMf() { evaluates_ = true; }
  Config config(const std::string& method, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"data.path=" + (folder_ / "synthetic"),
                                      "device=cpu",
                                      "threads=1",
                                      "model.name=mf",
                                      "model.width=32",
                                      "train.mode=exact",
                                      "train.epochs=1",
                                      "train.lr=0.05",
                                      "train.l2=1e-4",
                                      "train.batch_size=64",
                                      "llm.pair_rate=0.5",
                                      "eval.protocol=full",
                                      "method=" + method};
    words.insert(words.end(), more.begin(), more.end());
    return recipe_of(words);
  }
  void expect_same_by_ranks(const Config& config, const std::vector<int>& numbers,
                            Device device = Device::cpu) {
    const Trained alone = train(config, 1, 0, {}, device);
    ASSERT_FALSE(alone.checkpoint.empty());
    for (const int ranks : numbers) {
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

TEST_F(ShardedMf, AnyNumberTakesTheSameStepsWithEveryOptimizer) {
  for (const OptimizerInfo& optimizer : kOptimizers) {
    SCOPED_TRACE(optimizer.name);
    for (const std::string method : {"none", "agreement"}) {
      SCOPED_TRACE(method);
      expect_same_by_ranks(config(method, {fmt::format("train.optimizer={}", optimizer.name)}), {2, 3, 4});
    }
  }
}

/// Probes and held-out users, the gate's own step, cosines, a pair limit, a bias, no pair at all.
TEST_F(ShardedMf, EveryPartOfTheGateSeesWhatItSeesAlone) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"calibrated", {"gate.rule=mlp", "train.optimizer=lazy_adam"}},
      {"alignment", {"llm.max_pairs_per_batch=7"}},
      {"budget", {"model.item_bias=true", "train.optimizer=adagrad"}},
      {"global", {"train.batch_size=50", "llm.pair_rate=0.02"}}};
  for (const auto& [method, words] : cases) {
    SCOPED_TRACE(method);
    expect_same_by_ranks(config(method, words), {2, 5});
  }
}

TEST_F(ShardedMf, ListsAndLabelledRowsAreThoseOfOneRank) {
  expect_same_by_ranks(config("none", {"eval.lists=true", "eval.topk=[3, 10]"}), {2, 3});
  expect_same_by_ranks(config("none", {"eval.max_users=17"}), {4});
  expect_same_by_ranks(config("none", {"eval.protocol=ctr"}), {2, 3});
}

TEST_F(ShardedMf, AnyNumberTakesTheSameStepsOnCuda) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  for (const char* optimizer : {"adam", "lazy_adam"}) {
    expect_same_by_ranks(
        config("calibrated", {std::string("train.optimizer=") + optimizer, "eval.lists=true"}), {2, 3},
        Device::cuda);
  }
}

TEST_F(ShardedMf, AnotherNumberGoesOnWhereOneStopped) {
  const Config all = config("agreement", {"train.optimizer=adam"});
  const std::string first = folder_ / "first.safetensors";
  const auto train_first = [&](int ranks) {
    train(all, ranks);
    std::filesystem::copy_file(folder_ / "model.safetensors", first,
                               std::filesystem::copy_options::overwrite_existing);
  };
  train_first(1);
  const Trained whole = train(all, 1, 0, first);
  for (const auto& [before, after] : {std::pair(1, 4), {2, 1}, {4, 3}, {3, 3}}) {
    SCOPED_TRACE(testing::Message() << before << ", then " << after);
    train_first(before);
    const Trained rest = train(all, after, 0, first);
    EXPECT_TRUE(rest.checkpoint == whole.checkpoint);
    EXPECT_EQ(rest.report, whole.report);
  }
}

/// In the middle of an epoch, with the sums of its first part.
TEST_F(ShardedMf, AnotherNumberGoesOnInTheMiddleOfAnEpoch) {
  expect_other_ranks_go_on(config("calibrated", {"train.optimizer=lazy_adam", "train.batch_size=4"}),
                           {{2, 1}, {3, 2}, {2, 4}});
}

TEST_F(ShardedMf, NoRankKeepsMoreThanItsShare) {
  const Config all = config("none", {"train.optimizer=lazy_adam"});
  const std::int64_t alone = train(all, 1).kept[0];
  for (const int ranks : {2, 4}) {
    for (const std::int64_t kept : train(all, ranks).kept)
      EXPECT_LT(static_cast<double>(kept), 1.1 * static_cast<double>(alone) / ranks) << ranks;
  }
}

/// docs/scale.md. Figures and the counts of what is exchanged come with it; batches are small enough that
/// hardly an item comes twice among a rank's rows.
TEST_F(ShardedMf, SendsWhatTheFormulaSays) {
  for (const std::string method : {"none", "agreement"}) {
    SCOPED_TRACE(method);
    const Config all = config(method, {"train.batch_size=16", "train.negative_power=0", "model.width=64"});
    Bench bench(all);
    const std::int64_t rows = bench.trainer().rows_per_epoch();
    const double steps = static_cast<double>(rows) / 16;
    for (const int ranks : {2, 4}) {
      const std::vector<std::int64_t> sent = train(all, ranks).sent;
      const double mean =
          static_cast<double>(std::accumulate(sent.begin(), sent.end(), std::int64_t{0})) / ranks;
      const bool gated = method != "none";
      const double formula =
          steps * sharded_step_bytes(ranks, 16, 64, gated ? 0.5 : 0,
                                     gated ? static_cast<int>(bench.gate_parameters().size()) : 0);
      EXPECT_NEAR(mean, formula, 0.1 * formula) << ranks;
    }
  }
}

TEST_F(ShardedMf, TellsWhereOneRankWouldDo) {
  std::vector<std::string> remarks(2);
  ThreadRanks::run(2, [&](Communicator& own) {
    remarks[static_cast<std::size_t>(own.rank())] =
        Bench(config("none"), 1, Device::cpu, &own).trainer().remark();
  });
  EXPECT_THAT(remarks, testing::Each(HasSubstr("2 ranks shard tables of 0.")));
  EXPECT_EQ(Bench(config("none")).trainer().remark(), "");
}

TEST_F(ShardedMf, RefusesWhatItCannotShare) {
  std::vector<std::string> errors(2);
  const auto errors_of = [&](int ranks, const Config& config) {
    errors.resize(static_cast<std::size_t>(ranks));
    ThreadRanks::run(ranks, [&](Communicator& own) {
      errors[static_cast<std::size_t>(own.rank())] = error_of([&] { Bench(config, 1, Device::cpu, &own); });
    });
  };
  Config fused = config("none");
  fused.train.mode = TrainConfig::Mode::fused;
  fused.origins.erase("train.batch_size");
  errors_of(2, fused);
  EXPECT_THAT(errors, testing::Each(HasSubstr("2 ranks need train.mode=exact")));
  errors_of(130, config("none"));
  EXPECT_THAT(errors, testing::Each(HasSubstr("120 users and 198 items for 130 ranks: start fewer")));
}

}  // namespace
}  // namespace sllmr
