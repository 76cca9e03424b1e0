#include "host/train/micro_batches.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "kernels/gates/columns.h"
#include "models/registry.h"
#include "tests/host/train/rank_training.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/thread_ranks.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

TEST(MicroBatches, CutABatchIntoEvenPartsThatAreNeverTooSmall) {
  for (const int most : {1, 2, 4, 8, 64}) {
    for (std::int64_t rows = 2; rows <= 300; ++rows) {
      const int parts = micro_batches_of(rows, most);
      ASSERT_TRUE(parts >= 1 && parts <= most && (parts & (parts - 1)) == 0) << rows << " " << most;
      std::int64_t end = 0;
      for (int k = 0; k < parts; ++k) {
        const MicroBatchRows part = rows_of_micro_batch(rows, parts, k);
        ASSERT_EQ(part.begin, end);
        ASSERT_EQ(part.begin % 2, 0);
        ASSERT_GE(part.end - part.begin, 2) << rows << " " << most << " " << k;
        ASSERT_LE(part.end - part.begin, most_micro_batch_rows(rows, most))
            << rows << " " << most << " " << k;
        ASSERT_LE(part.end - part.begin, most_micro_batch_rows(300, most));
        end = part.end;
      }
      ASSERT_EQ(end, rows);
      ASSERT_TRUE(parts == most || parts * 4 > rows) << "more would have fitted";
    }
  }
  EXPECT_EQ(micro_batches_of(1, 8), 1);
}

class RankTraining : public RankTrainingTest {
 protected:
  Config config(const std::string& model, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"model.name=" + model, "train.epochs=1", "train.micro_batches=4",
                                      "llm.pair_rate=0.25"};
    words.insert(words.end(), more.begin(), more.end());
    return recipe_of(small_ctr_words(folder_ / "synthetic", "agreement", words));
  }
  /// A batch size that leaves the last batch `rows` rows.
  std::string batch_with_rest(std::int64_t rows) const {
    Bench bench(config("deepfm"));
    for (std::int64_t size = 40;; size += 2) {
      if (bench.trainer().rows_per_epoch() % size == rows) return fmt::format("train.batch_size={}", size);
    }
  }
};

class EveryBackboneByRanks : public RankTraining, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(RankTraining, EveryBackboneByRanks, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const BackboneInfo& backbone : backbones()) names.emplace_back(backbone.name);
                           return names;
                         }()),
                         [](const auto& each) { return each.param; });

TEST_P(EveryBackboneByRanks, AnyNumberTakesTheSameSteps) {
  // The last batch fills one micro-batch: all ranks but one have nothing to do.
  const Config all = config(GetParam(), {batch_with_rest(2)});
  const Trained alone = train(all, 1);
  ASSERT_FALSE(alone.checkpoint.empty());
  EXPECT_GT(alone.report["guidance"]["pairs"], 0);
  for (const int ranks : {2, 4}) {
    SCOPED_TRACE(ranks);
    const Trained together = train(all, ranks);
    EXPECT_TRUE(together.checkpoint == alone.checkpoint);
    EXPECT_EQ(together.report, alone.report);
  }
}

TEST_P(EveryBackboneByRanks, AnyNumberTakesTheSameStepsOnCuda) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Config all = config(GetParam(), {batch_with_rest(2)});
  const Trained alone = train(all, 1, 0, {}, Device::cuda), together = train(all, 2, 0, {}, Device::cuda);
  EXPECT_TRUE(together.checkpoint == alone.checkpoint);
  EXPECT_EQ(together.report, alone.report);
}

/// In the middle of a chunk, whose sums then lie on several ranks.
TEST_F(RankTraining, AnotherNumberGoesOnWhereOneStopped) {
  for (const char* optimizer : {"adam", "lazy_adam"}) {
    SCOPED_TRACE(optimizer);
    expect_other_ranks_go_on(
        config("dcnv2", {std::string("train.optimizer=") + optimizer, batch_with_rest(6)}),
        {{1, 4}, {2, 1}, {4, 2}, {2, 2}});
  }
}

/// Without batch norm and dropout a step of parts is that of the whole, up to rounding.
TEST_F(RankTraining, PartsAddUpToTheBatch) {
  const auto parameters = [&](const std::string& micro_batches, const std::string& batch_size) {
    train(config("lightgcn", {micro_batches, batch_size, "train.lr=1e-4"}), 1);
    for (const StoredTensor& tensor : read_safetensors(folder_ / "model.safetensors").tensors) {
      if (tensor.name != "parameters") continue;
      std::vector<float> values(tensor.bytes.size() / sizeof(float));
      std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
      return values;
    }
    return std::vector<float>();
  };
  const std::string size = batch_with_rest(6);
  const std::vector<float> whole = parameters("train.micro_batches=1", size);
  ASSERT_FALSE(whole.empty());
  EXPECT_LT(norm_error(parameters("train.micro_batches=8", size), whole), 1e-4);
  EXPECT_GT(norm_error(parameters("train.micro_batches=8", "train.batch_size=32"), whole), 1e-4)
      << "batches of another size make a difference that is seen";
}

/// docs/clusters.md: 2 (R - 1) / R numbers for every dense one, and of the gate's sums its share to each
/// other rank once a chunk.
TEST_F(RankTraining, SendsWhatTheFormulaSays) {
  const Config all = config("lightgcn", {"train.batch_size=64", "train.micro_batches=8", "model.width=64"});
  Bench bench(all);
  const auto steps = static_cast<double>((bench.trainer().rows_per_epoch() + 63) / 64),
             chunks = static_cast<double>((bench.trainer().rows_per_epoch() + 255) / 256),
             dense = static_cast<double>(bench.trainer().parameters());
  for (const int ranks : {2, 4, 8}) {
    const double others = ranks - 1, slots = 2 * 8 * static_cast<double>(most_micro_batch_rows(64, 8));
    const double formula =
        4 * (2 * others / ranks * dense * steps + slots / ranks * GateColumns::stride * others * chunks);
    for (const std::int64_t sent : train(all, ranks).sent)
      EXPECT_NEAR(static_cast<double>(sent), formula, 0.1 * formula) << ranks;
  }
}

TEST_F(RankTraining, RefusesWhatItCannotShare) {
  const auto error = [&](const std::string& method, const std::vector<std::string>& words) {
    std::vector<std::string> all = {"train.micro_batches=4"};
    all.insert(all.end(), words.begin(), words.end());
    return error_of([&] { Bench(recipe_of(small_ctr_words(folder_ / "synthetic", method, all))); });
  };
  EXPECT_EQ(error("none", {}), "no error");
  EXPECT_THAT(error("pointwise", {}), HasSubstr("leave train.micro_batches at 1"));
  EXPECT_THAT(error("none", {"train.micro_batches=3"}), HasSubstr("must be 1, 2, 4, 8, 16, 32 or 64, not 3"));
  EXPECT_THAT(error("none", {"train.cuda_graph=true"}), HasSubstr("takes whole batches"));
  std::vector<std::string> errors(3);
  ThreadRanks::run(3, [&](Communicator& own) {
    errors[static_cast<std::size_t>(own.rank())] =
        error_of([&] { Bench(config("deepfm"), 1, Device::cpu, &own); });
  });
  EXPECT_THAT(errors, testing::Each(HasSubstr("train.micro_batches=4 cannot be shared by 3 ranks")));
  ThreadRanks::run(2, [&](Communicator& own) {
    errors[static_cast<std::size_t>(own.rank())] =
        error_of([&] { Bench(config("deepfm", {"train.micro_batches=1"}), 1, Device::cpu, &own); });
  });
  EXPECT_THAT(errors[1], HasSubstr("2 ranks share the micro-batches of a batch"));
}

}  // namespace
}  // namespace sllmr
