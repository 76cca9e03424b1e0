#include "host/train/micro_batches.h"

#include <gmock/gmock.h>

#include <mutex>
#include <string>
#include <vector>

#include "host/data/import.h"
#include "models/registry.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"
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
        ASSERT_LE(part.end - part.begin, most_micro_batch_rows(rows, most)) << rows << " " << most << " " << k;
        ASSERT_LE(part.end - part.begin, most_micro_batch_rows(300, most));
        end = part.end;
      }
      ASSERT_EQ(end, rows);
      ASSERT_TRUE(parts == most || parts * 4 > rows) << "more would have fitted";
    }
  }
  EXPECT_EQ(micro_batches_of(1, 8), 1);
}

class MicroBatchTraining : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { save_recbole(synthetic_dataset(small_world(120, 200)), folder_.path()); }

  Config config(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"model.name=" + GetParam(), "train.epochs=1", "train.micro_batches=4",
                                      "llm.pair_rate=0.25"};
    words.insert(words.end(), more.begin(), more.end());
    return recipe_of(small_ctr_words(folder_ / "synthetic", "agreement", words));
  }
  /// The checkpoint's bytes after training, and what the first rank says of the epoch.
  struct Trained {
    std::string checkpoint;
    nlohmann::json report;
    std::vector<std::int64_t> sent;
  };
  Trained train(const Config& config, int ranks) {
    Trained out;
    out.sent.resize(static_cast<std::size_t>(ranks));
    std::mutex reading;
    ThreadRanks::run(ranks, [&](Communicator& own) {
      const std::unique_ptr<Bench> bench = [&] {
        const std::lock_guard lock(reading);
        return std::make_unique<Bench>(config, 1, Device::cpu, &own);
      }();
      const EpochReport report = bench->train();
      out.sent[static_cast<std::size_t>(own.rank())] = own.bytes_sent();
      std::string checkpoint = bench->checkpoint(folder_ / "model.safetensors");
      if (own.rank() != 0) return;
      out.checkpoint = std::move(checkpoint);
      out.report = to_json(report);
    });
    return out;
  }
  TemporaryFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(EveryBackbone, MicroBatchTraining, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const BackboneInfo& backbone : backbones()) names.emplace_back(backbone.name);
                           return names;
                         }()),
                         [](const auto& each) { return each.param; });

TEST_P(MicroBatchTraining, AnyNumberOfRanksTakesTheSameSteps) {
  // The last batch of the epoch has 2 rows: three of four ranks have nothing to do.
  const Config all = config(GetParam() == "mf" ? std::vector<std::string>{"train.loss=bce"} : std::vector<std::string>{});
  const Trained alone = train(all, 1);
  ASSERT_FALSE(alone.checkpoint.empty());
  for (const int ranks : {2, 4}) {
    SCOPED_TRACE(ranks);
    const Trained together = train(all, ranks);
    EXPECT_TRUE(together.checkpoint == alone.checkpoint);
    EXPECT_EQ(together.report, alone.report);
  }
}

}  // namespace
}  // namespace sllmr
