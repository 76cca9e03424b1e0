#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "host/data/import.h"
#include "host/guidance/registry.h"
#include "tests/host/support.h"
#include "tests/host/text/written.h"
#include "tests/host/train/bench.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// Area under the ROC curve, pair by pair.
double naive_auc(const std::vector<float>& logits, const std::vector<float>& labels) {
  double above = 0, pairs = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    for (std::size_t j = 0; j < logits.size(); ++j) {
      if (labels[i] <= labels[j]) continue;
      ++pairs;
      above += logits[i] > logits[j] ? 1 : logits[i] == logits[j] ? 0.5 : 0;
    }
  }
  return above / pairs;
}

class Llmcf : public testing::Test {
 protected:
  Llmcf() { save_recbole(synthetic_dataset(small_world(150, 200)), folder_.path()); }

  Config config(const std::string& method, const std::vector<std::string>& more) const {
    return recipe_of(small_ctr_words(folder_ / "synthetic", method, more));
  }

  TemporaryFolder folder_;
};

/// Users who take items at random, with titles of random words, so that nothing foretells a label.
void write_random_data(const std::string& folder) {
  constexpr int kUsers = 250, kItems = 200, kTaken = 10, kWords = 300;
  std::filesystem::create_directory(folder);
  std::mt19937_64 engine(7);
  const auto below_of = [&](int n) { return static_cast<int>(engine() % static_cast<std::uint64_t>(n)); };
  std::ofstream interactions(folder + "/random.inter"), items(folder + "/random.item");
  interactions << "user_id:token\titem_id:token\tposition:float\n";
  for (int user = 0; user < kUsers; ++user) {
    std::set<Id> taken;
    while (std::ssize(taken) < kTaken) {
      const Id item = 1 + below_of(kItems);
      if (!taken.insert(item).second) continue;
      interactions << 'u' << user << "\ti" << item << '\t' << taken.size() << '\n';
    }
  }
  items << "item_id:token\ttitle:token_seq\n";
  for (int item = 1; item <= kItems; ++item) {
    items << 'i' << item << '\t';
    for (int k = 0; k < 4; ++k) items << 'w' << below_of(kWords) << (k < 3 ? ' ' : '\n');
  }
}

/// Labels that nothing foretells but an example's own: the release lets rows that may be examples find
/// themselves and copy, the guard does not.
TEST_F(Llmcf, OnlyTheReleaseCopiesPlantedLabels) {
  write_random_data(folder_ / "random");
  // Area under the curve of training rows that are in the pool, less that of the others.
  const auto gain = [&](bool quirks) {
    const Config run =
        config("llmcf_wocot",
               {"data.path=" + (folder_ / "random"), "data.allow_missing_attributes=true", "train.lr=0.003",
                "train.l2=0.003", "train.batch_size=32", "train.epochs=15", "llmcf.share=0.3",
                "llmcf.scale=5", quirks ? "llmcf.release_quirks=true" : "llmcf.release_quirks=false"});
    const World world = load_world(run);
    const auto vectors = vectors_for(run, *world.data);
    const auto examples = examples_for(run, world.split, vectors);
    Bench bench(run);
    bench.train();
    const std::vector<CtrRow> rows = ctr_train_rows(world.split, run.seed);
    const std::vector<float> logits = bench.trainer().ctr_logits(rows);
    const auto in_pool = [&](const CtrRow& row) {
      return std::ranges::any_of(examples->pool(), [&](const FeatureRow& other) {
        return other.user == row.user && other.item == row.item && other.position == row.position;
      });
    };
    std::vector<float> scores[2], labels[2];
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const int pool = in_pool(rows[k]) ? 1 : 0;
      scores[pool].push_back(logits[k]);
      labels[pool].push_back(rows[k].label);
    }
    return naive_auc(scores[1], labels[1]) - naive_auc(scores[0], labels[0]);
  };
  const double leaked = gain(true), guarded = gain(false);
  EXPECT_GT(leaked, guarded + 0.01);  // .03 to .05 and 0 to .01, by compiler and flags
}

TEST_F(Llmcf, WithoutTheLossChainsStillStandInTheSequence) {
  const std::vector<CtrRow> rows{{1, 2, 1, 1}, {5, 9, 2, 0}, {7, 3, 1, 1}};
  const auto logits = [&](const std::string& method, const std::string& key) {
    Bench bench(config(method, {key}));
    bench.train();
    return bench.trainer().ctr_logits(rows);
  };
  const auto without_loss = logits("llmcf_text", "llmcf.reconstruction=0");
  EXPECT_NE(without_loss, logits("llmcf_text", "llmcf.reconstruction=1"));
  EXPECT_NE(without_loss, logits("llmcf_wocot", "llmcf.scale=1"));
}

/// Chains are found by user, item and position, wherever they stand in the file; an example without one takes
/// the mean of its label's.
TEST_F(Llmcf, ChainsReachTheExamplesThatTheyAreOf) {
  const std::vector<CtrRow> rows{{1, 2, 1, 1}, {5, 9, 2, 0}, {7, 3, 1, 1}};
  const Dataset data = load_dataset(folder_ / "synthetic");
  const Split split = leave_one_out(data);
  const WrittenTexts texts = test::made_up_texts(Subject::example, split, {});
  const WrittenVectors chains = test::made_up_vectors(texts, data, LlmConfig().vector_width);
  const auto width = static_cast<std::size_t>(chains.width);
  ASSERT_EQ(chains.subjects.size(), texts.texts.size());
  const auto config_of = [&](const WrittenVectors& stored) {
    save_written_vectors(folder_ / "chains", stored, data);
    return config("llmcf", {"llmcf.chains=" + (folder_ / "chains")});
  };
  const auto logits = [&](const WrittenVectors& stored) {
    Bench bench(config_of(stored));
    bench.train();
    return bench.trainer().ctr_logits(rows);
  };
  const auto with_places = [&](const auto& place) {
    WrittenVectors moved = chains;
    for (std::size_t k = 0; k < moved.subjects.size(); ++k) {
      const std::size_t from = place(k);
      std::copy_n(chains.values.begin() + static_cast<std::ptrdiff_t>(from * width), width,
                  moved.values.begin() + static_cast<std::ptrdiff_t>(k * width));
    }
    return moved;
  };
  const std::size_t n = chains.subjects.size();
  const std::vector<float> own = logits(chains);
  WrittenVectors reversed = with_places([&](std::size_t k) { return n - 1 - k; });
  EXPECT_NE(logits(reversed), own) << "other examples' chains";
  std::ranges::reverse(reversed.subjects);
  EXPECT_EQ(logits(reversed), own) << "the same in another order";
  WrittenVectors fewer = chains;
  fewer.subjects.pop_back();
  fewer.values.resize(fewer.values.size() - width);
  EXPECT_EQ(logits(fewer).size(), rows.size()) << "one answer was bad";

  const auto error = [&](const WrittenVectors& stored) {
    const Config run = config_of(stored);
    return error_of([&] { Bench bench(run); });
  };
  fewer.subjects.resize(n / 2);
  fewer.values.resize(n / 2 * width);
  EXPECT_THAT(error(fewer), HasSubstr("examples have no chain"));
  WrittenVectors other = chains;
  other.subjects[0].label ^= 1;
  EXPECT_THAT(error(other), HasSubstr("it is of another pool"));
  other = chains;
  other.origin["seed"] = "2";
  EXPECT_THAT(error(other), HasSubstr("llmcf.pool_seed=2 draws, where the run has llmcf.pool_seed=1"));
  other = chains;
  other.origin["model"] = "another";
  EXPECT_THAT(error(other), HasSubstr("have one encoder make both"));
  EXPECT_THAT(error(test::made_up_vectors(texts, data, 7)),
              HasSubstr("vectors of 7 numbers, where the items'"));
}

TEST_F(Llmcf, RunsOfSeveralSeedsMayShareAPool) {
  const auto pool = [&](const std::string& seed, const std::string& pool_seed) {
    const Config run = config("llmcf_wocot", {"seed=" + seed, "llmcf.pool_seed=" + pool_seed});
    const World world = load_world(run);
    const auto examples = examples_for(run, world.split, vectors_for(run, *world.data));
    std::vector<std::array<std::int64_t, 4>> out;
    for (std::size_t k = 0; k < examples->pool().size(); ++k) {
      const FeatureRow& row = examples->pool()[k];
      out.push_back({row.user, row.item, row.position, examples->labels()[k]});
    }
    return out;
  };
  EXPECT_EQ(pool("1", "5"), pool("2", "5"));
  EXPECT_EQ(pool("5", "0"), pool("1", "5"));
  EXPECT_NE(pool("1", "0"), pool("2", "0"));
}

TEST_F(Llmcf, RefusesWhatItCannotRetrieveOrEmbed) {
  const auto error = [&](const std::string& method, const std::vector<std::string>& more) {
    return error_of([&] { find_guidance(config(method, more)); });
  };
  EXPECT_THAT(error("llmcf_wocot", {"eval.protocol=full"}), HasSubstr("use eval.protocol=ctr"));
  EXPECT_THAT(error("llmcf_text", {"llm.encoder=file"}),
              HasSubstr("use llm.encoder=tfidf, or method=llmcf_wocot"));
  EXPECT_EQ(error("llmcf_wocot", {"llm.encoder=file"}), "no error");
  EXPECT_THAT(error("llmcf", {}), HasSubstr("method=llmcf needs llmcf.chains"));
  EXPECT_EQ(error("llmcf", {"llm.encoder=file", "llmcf.chains=c"}), "no error");
  EXPECT_THAT(error("llmcf_wocot", {"model.width=6"}), HasSubstr("model.width=6 is not a multiple of 4"));
}

}  // namespace
}  // namespace sllmr
