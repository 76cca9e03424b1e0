// Ranking with a backbone: by its catalogue, whatever the threads, as by forward passes.
#include "host/train/ranking_scorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "host/data/synthetic.h"
#include "host/train/stored_model.h"
#include "kernels/exec/parallel.h"
#include "models/extra/in_context.h"
#include "models/registry.h"
#include "tests/host/train/bench.h"
#include "tests/support/compare.h"
#include "tests/support/fixed_examples.h"

namespace sllmr {
namespace {

class EveryRanking : public testing::TestWithParam<const BackboneInfo*> {
 protected:
  EveryRanking() : data_(synthetic_dataset(small_world(150, 400))), split_(leave_one_out(data_)) {}

  std::unique_ptr<Backbone<float>> make(const Context& context, const FeatureStore& features,
                                        std::shared_ptr<const ExtraVectorMaker> extra = nullptr) const {
    BackboneOptions options;
    options.width = 8;
    options.hidden = {20, 12};
    options.cin_sizes = {8, 4};
    options.attention_width = 16;
    options.din_attention_hidden = {8, 4};
    options.table_rows = features.table_rows();
    options.interactions = training_interactions(split_);
    options.extra = std::move(extra);
    return GetParam()->make(context, options);
  }

  Dataset data_;
  Split split_;
};
INSTANTIATE_TEST_SUITE_P(RankingScorer, EveryRanking, testing::ValuesIn([] {
                           std::vector<const BackboneInfo*> all;
                           for (const BackboneInfo& each : backbones()) all.push_back(&each);
                           return all;
                         }()),
                         [](const auto& each) { return std::string(each.param->name); });

TEST_P(EveryRanking, TilesAreForwardPassesOverTheSameRows) {
  const Context context(Device::cpu, 1);
  const FeatureStore features(context, feature_source(data_), 20);
  const auto backbone = make(context, features);
  RankingScorer scorer(features, *backbone, split_);
  const Id items = scorer.item_rows();
  const std::vector<Id> users{1, 2, 77, 150, 2};
  for (const Target target : {Target::validation, Target::test}) {
    scorer.prepare(context, target);
    std::vector<float> tile(users.size() * static_cast<std::size_t>(items));
    scorer.score_tile(context, users.data(), static_cast<std::int64_t>(users.size()), nullptr, tile.data());
    std::vector<float> expected;
    for (const Id user : users) {
      std::vector<Id> same(static_cast<std::size_t>(items), user), all(same.size(), 1);
      for (Id item = 1; item < items; ++item) all[static_cast<std::size_t>(item)] = item;
      std::vector<float> row(same.size());
      scorer.score_pairs(context, same.data(), all.data(), items, row.data());
      row[0] = 0;  // column 0 means nothing
      expected.insert(expected.end(), row.begin(), row.end());
    }
    EXPECT_LT(norm_error(tile, expected), 1e-5);
  }
}

TEST_P(EveryRanking, ThreadsShareACatalogue) {
  const Context context(Device::cpu, 2);
  const FeatureStore features(context, feature_source(data_), 20);
  const auto backbone = make(context, features);
  RankingScorer scorer(features, *backbone, split_);
  scorer.prepare(context, Target::test);
  const auto items = static_cast<std::size_t>(scorer.item_rows());
  constexpr Id kUsers = 100;
  std::vector<float> alone(kUsers * items), together(alone.size());
  std::vector<Id> users;
  for (Id user = 1; user <= kUsers; ++user) users.push_back(user);
  scorer.score_tile(context, users.data(), kUsers, nullptr, alone.data());
  SharedItems tiles(kUsers / 10);
  on_threads(4, [&](int) {
    const Context own(Device::cpu, 1);
    tiles.take([&](std::int64_t k) {
      const auto tile = static_cast<std::size_t>(10 * k);
      scorer.score_tile(own, users.data() + tile, 10, nullptr, together.data() + tile * items);
    });
  });
  EXPECT_LT(norm_error(together, alone), 1e-6);
}

/// Labelled rows are scored with what was made of the whole pool once, other rows with the pool's rows in
/// every batch.
TEST_P(EveryRanking, ExamplesAreTheSameMadeOnceOrInEveryBatch) {
  if (!GetParam()->takes_extra) GTEST_SKIP() << "takes no examples";
  const Context context(Device::cpu, 1);
  std::mt19937_64 engine(7);
  const auto below = [&](std::int64_t n) {
    return static_cast<Id>(engine() % static_cast<std::uint64_t>(n));
  };
  const auto random_row = [&] {
    const Id user = 1 + below(data_.users.count());
    return FeatureRow{user, 1 + below(data_.items.count()), below(std::ssize(data_.user_history(user)) + 1)};
  };
  const auto random_vectors = [&](std::int64_t rows) {
    std::vector<float> values(static_cast<std::size_t>(rows) * 6);
    for (float& x : values) x = 0.01F * static_cast<float>(below(200)) - 1.0F;
    return ItemVectors{6, std::make_shared<const std::vector<float>>(std::move(values))};
  };
  std::vector<FeatureRow> pool(2500);  // more than a forward pass takes
  std::generate(pool.begin(), pool.end(), random_row);
  const auto examples = std::make_shared<const FixedExamples>(pool, /*each=*/3);
  std::vector<CtrRow> rows;
  std::vector<FeatureRow> same;
  for (int k = 0; k < 300; ++k) {
    const FeatureRow row = random_row();
    rows.push_back({row.user, row.item, row.position, 1});
    same.push_back(row);
  }
  const FeatureStore features(context, feature_source(data_), 20, examples);
  const ItemVectors vectors = random_vectors(data_.items.rows());
  for (const bool chains : {false, true}) {
    const InContextOptions options{.vectors = vectors,
                                   .examples = 3,
                                   .labels = {examples->labels().begin(), examples->labels().end()},
                                   .chains = chains ? random_vectors(std::ssize(pool)) : ItemVectors{},
                                   .text_hidden = {5},
                                   .joint_hidden = {6},
                                   .reconstruction = 0};
    const auto backbone = make(context, features, in_context(options));
    const RankingScorer scorer(features, *backbone, split_);
    std::vector<float> in_batches(rows.size());
    scorer.score(context, same, in_batches.data());
    const std::vector<float> made_once = scorer.ctr_logits(context, rows);
    EXPECT_LT(norm_error(made_once, in_batches), 1e-6) << chains;
    // The examples do matter.
    const FeatureStore none(context, feature_source(data_), 20,
                            std::make_shared<const FixedExamples>(std::vector{pool[1]}, /*each=*/3));
    EXPECT_GT(norm_error(RankingScorer(none, *backbone, split_).ctr_logits(context, rows), in_batches), 1e-4);
  }
}

}  // namespace
}  // namespace sllmr
