#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "host/data/import.h"
#include "host/train/stored_model.h"
#include "kernels/exec/interrupt.h"
#include "models/registry.h"
#include "tests/host/guidance/rows.h"
#include "tests/host/support.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// The list and the negative of a row, as they join the batch.
struct Joined {
  Id user;
  std::vector<Id> list;
  Id negative;
};

/// The method's parts on a made-up world; every row's list joins.
class Dllm2Rec : public GuidedRows {
 protected:
  std::unique_ptr<Guidance> method(std::vector<std::string> words = {}) {
    words.insert(words.end(), {"method=dllm2rec", "dllm2rec.share=1", "dllm2rec.top=5"});
    return guidance(words);
  }
  /// The user's first five scores, by a walk through the table.
  std::vector<LlmScore> teacher(Id user) const {
    std::vector<LlmScore> all;
    for (std::size_t k = 0; k < table_.items_of(user).size(); ++k) {
      all.push_back({user, table_.items_of(user)[k], table_.scores_of(user)[k]});
    }
    std::sort(all.begin(), all.end(), [](const LlmScore& x, const LlmScore& y) {
      return x.score > y.score || (x.score == y.score && x.item < y.item);
    });
    all.resize(std::min<std::size_t>(all.size(), 5));
    return all;
  }
  /// The rows that plan() has appended, taken apart.
  std::vector<Joined> joined(const BatchPlan& plan) const {
    std::vector<Joined> out;
    auto at = static_cast<std::size_t>(plan.count);
    for (std::size_t k = 0; k < static_cast<std::size_t>(plan.count); ++k) {
      const std::size_t n = teacher(plan.rows[k].user).size();
      if (n == 0) continue;
      Joined& one = out.emplace_back(Joined{plan.rows[k].user, {}, 0});
      for (std::size_t j = 0; j <= n; ++j, ++at) {
        EXPECT_EQ(plan.rows[at].user, one.user);
        EXPECT_EQ(plan.rows[at].position, split_.train_size[static_cast<std::size_t>(one.user)] - 1);
        if (j < n) one.list.push_back(plan.rows[at].item);
      }
      one.negative = plan.rows[at - 1].item;
    }
    EXPECT_EQ(at, plan.rows.size());
    return out;
  }

  /// Weights of a list from their definition.
  std::vector<double> weights(const std::vector<LlmScore>& list, const std::set<Id>& students,
                              double rank = 0.3, double confidence = 0.5, double consistency = 0.1) const {
    double ranks = 0, confidences = 0, sum = 0;
    for (std::size_t k = 0; k < list.size(); ++k) {
      ranks += std::exp(-1.0 - static_cast<double>(k));
      confidences += std::exp(-(1 - static_cast<double>(list[k].score))) + 1e-8;
    }
    std::vector<double> out;
    for (std::size_t k = 0; k < list.size(); ++k) {
      out.push_back(rank * std::exp(-1.0 - static_cast<double>(k)) / ranks +
                    confidence * (std::exp(-(1 - static_cast<double>(list[k].score))) + 1e-8) / confidences +
                    consistency * ((students.contains(list[k].item) ? 1 : 0) + 1e-8));
      sum += out.back();
    }
    for (double& each : out) each /= sum;
    return out;
  }

  /// Gradients of the appended rows of a step whose logits these are.
  std::vector<float> gradients(Guidance& guidance, const BatchPlan& plan, const std::vector<float>& logits) {
    const FeatureStore features(context_, feature_source(data_));
    const auto backbone = make_backbone(context_, config_, features, split_, nullptr);
    FeatureBatcher batcher(context_, features, {std::ssize(plan.rows), false, true});
    const FeatureBatch& batch = batcher.make(context_, plan.rows);
    std::unique_ptr<Backbone<float>::Saved> saved;
    backbone->forward(context_, batch, {}, &saved);
    std::vector<float> d_logits(logits.size());
    LossHead head;
    head.logits = logits.data();
    head.targets = plan.targets.data();
    head.rows = plan.count;
    head.gate = guidance.gate();
    head.d_logits = d_logits.data();
    guidance.upload(plan);
    RowVectors<float> d_vectors;
    guidance.loss({plan, batch, *backbone, *saved, {}, head, d_vectors});
    return {d_logits.begin() + plan.count, d_logits.end()};
  }
};

TEST_F(Dllm2Rec, TheBestScoredItemsJoinWithANegative) {
  const auto some = method();
  const BatchPlan rows = plan(*some);
  const std::vector<Joined> all = joined(rows);
  ASSERT_EQ(std::ssize(all), rows.count);
  for (const Joined& each : all) {
    std::vector<Id> expected;
    for (const LlmScore& score : teacher(each.user)) expected.push_back(score.item);
    EXPECT_EQ(each.list, expected);
    const auto train = split_.train_items(each.user);
    EXPECT_EQ(std::ranges::find(train, each.negative), train.end());
    EXPECT_EQ(std::ranges::find(each.list, each.negative), each.list.end());
    EXPECT_TRUE(each.negative >= 1 && each.negative < data_.items.rows());
  }
  EXPECT_LE(std::ssize(rows.rows), some->most_rows());
}

TEST_F(Dllm2Rec, NegativesDependOnSeedEpochAndRowAlone) {
  const auto negatives = [this](std::uint32_t epoch, const char* seed) {
    const auto one = method({seed});
    one->begin_chunk({epoch, 0, 64, 64, {}});
    std::vector<Id> out;
    for (const Joined& each : joined(plan(*one))) out.push_back(each.negative);
    return out;
  };
  EXPECT_EQ(negatives(1, "seed=1"), negatives(1, "seed=1"));
  EXPECT_NE(negatives(1, "seed=1"), negatives(2, "seed=1"));
  EXPECT_NE(negatives(1, "seed=1"), negatives(1, "seed=2"));
}

/// The gradient of weight * mean over the rows of the batch of sum_r w_r (-log sigmoid(s_r) - log
/// sigmoid(-s_neg)) by finite differences in double precision; quirks: -log sigmoid(1 - s_neg).
TEST_F(Dllm2Rec, GradientsAreThoseOfItsLoss) {
  for (const bool quirks : {false, true}) {
    const auto one = method({quirks ? "dllm2rec.release_quirks=true" : "dllm2rec.release_quirks=false"});
    const BatchPlan rows = plan(*one);
    std::vector<float> logits;
    for (std::size_t k = 0; k < rows.rows.size(); ++k)
      logits.push_back(0.1F * static_cast<float>(k % 41) - 2);
    const std::vector<float> found = gradients(*one, rows, logits);
    const auto log_sigmoid = [](double x) { return -std::log1p(std::exp(-x)); };
    std::vector<double> s(logits.begin() + rows.count, logits.end());
    const auto loss = [&] {
      double sum = 0;
      std::size_t at = 0;
      for (const Joined& each : joined(rows)) {
        const std::vector<double> w = weights(teacher(each.user), {});
        EXPECT_NEAR(std::accumulate(w.begin(), w.end(), 0.0), 1, 1e-12);
        const double negative = s[at + w.size()];
        for (const double weight : w) {
          sum += weight * (-log_sigmoid(s[at++]) - log_sigmoid(quirks ? 1 - negative : -negative));
        }
        ++at;
      }
      return 0.8 * sum / static_cast<double>(rows.count);
    };
    for (std::size_t k = 0; k < s.size(); ++k) {
      constexpr double kStep = 1e-4;
      const double kept = s[k];
      s[k] = kept + kStep;
      const double above = loss();
      s[k] = kept - kStep;
      const double below = loss();
      s[k] = kept;
      ASSERT_TRUE(near(static_cast<double>(found[k]), (above - below) / (2 * kStep), {1e-8, 1e-4}))
          << k << (quirks ? ", quirks" : "");
    }
  }
}

/// At a logit of 0 the slope of -log sigmoid is -1/2, so the gradients tell the weights.
TEST_F(Dllm2Rec, WeightsFollowTheStudentsLists) {
  const auto found = [&](Guidance& guidance, const BatchPlan& rows) {
    std::vector<double> out;
    for (const float each : gradients(guidance, rows, std::vector<float>(rows.rows.size()))) {
      out.push_back(static_cast<double>(each) * -2 * static_cast<double>(rows.count) / 0.8);
    }
    return out;
  };
  const auto expected = [&](const BatchPlan& rows, const std::set<Id>& students, double rank,
                            double confidence, double consistency) {
    std::vector<double> out;
    for (const Joined& each : joined(rows)) {
      const auto w = weights(teacher(each.user), students, rank, confidence, consistency);
      out.insert(out.end(), w.begin(), w.end());
      out.push_back(-1);
    }
    return out;
  };
  const std::set<Id> students{57, 49, 3};
  const auto rank = [&](std::span<const Id> users, int k) {
    std::vector<Id> lists;
    for (std::size_t u = 0; u < users.size(); ++u) {
      lists.insert(lists.end(), students.begin(), students.end());
      lists.resize((u + 1) * static_cast<std::size_t>(k));
    }
    return lists;
  };
  const auto standard = method();
  EXPECT_TRUE(all_near(found(*standard, plan(*standard)), expected(plan(*standard), {}, 0.3, 0.5, 0.1),
                       {1e-6, 1e-5}));
  standard->look_at_model(1, rank);
  EXPECT_TRUE(all_near(found(*standard, plan(*standard)), expected(plan(*standard), students, 0.3, 0.5, 0.1),
                       {1e-6, 1e-5}));
  const auto mixed = method({"dllm2rec.rank=0.1", "dllm2rec.confidence=0.2", "dllm2rec.consistency=0.7"});
  mixed->look_at_model(1, rank);
  EXPECT_TRUE(
      all_near(found(*mixed, plan(*mixed)), expected(plan(*mixed), students, 0.1, 0.2, 0.7), {1e-6, 1e-5}));
}

TEST_F(Dllm2Rec, AShareOfTheStudentsListsIsRenewedInTurn) {
  std::size_t all = 0;
  method()->look_at_model(1, [&](std::span<const Id> users, int k) {
    all = users.size();
    return std::vector<Id>(users.size() * static_cast<std::size_t>(k));
  });
  const auto some = method({"dllm2rec.refresh=0.4"});
  std::multiset<Id> asked;
  for (std::uint32_t epoch = 1; epoch <= 5; ++epoch) {
    some->look_at_model(epoch, [&](std::span<const Id> users, int k) {
      EXPECT_EQ(users.size(), static_cast<std::size_t>(std::ceil(0.4 * static_cast<double>(all))));
      asked.insert(users.begin(), users.end());
      return std::vector<Id>(users.size() * static_cast<std::size_t>(k));
    });
  }
  EXPECT_EQ(std::set<Id>(asked.begin(), asked.end()).size(), all);
  for (const Id user : asked) EXPECT_GE(asked.count(user), 2U) << user;
}

TEST_F(Dllm2Rec, AShareOfTheRowsStandsForAll) {
  const auto quarter = guidance({"method=dllm2rec", "dllm2rec.share=0.25", "dllm2rec.top=5"});
  BatchPlan rows = plan(*quarter);
  const std::int64_t lists = (std::ssize(rows.rows) - rows.count) / 6;
  EXPECT_EQ(lists, rows.count / 4);
  const std::vector<float> d = gradients(*quarter, rows, std::vector<float>(rows.rows.size()));
  // Of each list the negative's is the last.
  EXPECT_NEAR(d[5], 0.8 * 0.5 / (0.25 * static_cast<double>(rows.count)), 1e-6);
}

TEST_F(Dllm2Rec, WhoHasTouchedEverythingHasNoList) {
  // One user whose training and list leave no item over.
  std::vector<LlmScore> scores;
  const Id user = 3;
  for (Id item = 1; item < data_.items.rows(); ++item) scores.push_back({user, item, 0.5F});
  table_ = make_score_table(data_, scores, "made up");
  const auto one = guidance({"method=dllm2rec", "dllm2rec.share=1", "dllm2rec.top=1000"});
  const BatchPlan rows = plan(*one);
  EXPECT_EQ(std::ssize(rows.rows), rows.count);
}

TEST_F(Dllm2Rec, WeightsOfNothingAreRefused) {
  EXPECT_THAT(error_of([&] {
                method({"dllm2rec.rank=0", "dllm2rec.confidence=0", "dllm2rec.consistency=0"});
              }),
              HasSubstr("set one of them"));
  for (const char* bad : {"dllm2rec.share=0", "dllm2rec.share=1.5", "dllm2rec.top=0", "dllm2rec.weight=-1"}) {
    EXPECT_THAT(error_of([&] { method({bad}); }), HasSubstr("expected")) << bad;
  }
}

/// The method in training.
class Dllm2RecRun : public testing::Test {
 protected:
  void SetUp() override { save_recbole(synthetic_dataset(small_world(300, 200)), folder_.path()); }
  Config config(std::vector<std::string> overrides = {}) const {
    std::vector<std::string> words = small_ctr_words(folder_ / "synthetic", "dllm2rec", {"model.name=dcnv2"});
    words.insert(words.end(), overrides.begin(), overrides.end());
    return recipe_of(words);
  }
  TemporaryFolder folder_;
};

bool never(std::int64_t) {
  return false;
}

TEST_F(Dllm2RecRun, PullsTheListsUp) {
  const double first = told(Bench(config({"train.epochs=1"})).train(), "loss");
  const double last = told(Bench(config({"train.epochs=8"})).train(), "loss");
  EXPECT_GT(first, 0);
  EXPECT_LT(last, first);
}

TEST_F(Dllm2RecRun, EveryBackboneTakesIt) {
  for (const BackboneInfo& each : backbones()) {
    std::vector<std::string> words = {"model.name=" + std::string(each.name)};
    if (each.name == "mf" || each.name == "lightgcn") words.emplace_back("train.loss=bpr");
    const EpochReport report = Bench(config(words)).train();
    EXPECT_GT(told(report, "loss"), 0) << each.name;
    EXPECT_GT(told(report, "overlap"), 0) << each.name;
  }
}

/// The overlap of the second epoch is that of the model after the first, from all its logits.
TEST_F(Dllm2RecRun, TheStudentsListsAreThoseOfTheEpochBefore) {
  const Config run = config({"dllm2rec.share=1"});
  Bench bench(run);
  const EpochReport first = *bench.trainer().train_epoch(never);
  EXPECT_TRUE(first.guidance["overlap"].is_null());

  const World world = load_world(run);
  const ScoreTable table = load_scores(run, world.split).table;
  const Context host(Device::cpu, 1);
  const Scorer& scorer = bench.trainer().scorer(Target::validation);
  const auto rows = ctr_train_rows(world.split, run.seed);
  double sum = 0;
  std::int64_t lists = 0, entries = 0;
  for (Id user = 1; user < world.data->users.rows(); ++user) {
    std::vector<float> logits(static_cast<std::size_t>(scorer.item_rows()));
    scorer.score_tile(host, &user, 1, nullptr, logits.data());
    const auto train = world.split.train_items(user);
    std::vector<Id> best;
    for (Id item = 1; item < scorer.item_rows(); ++item) {
      if (std::ranges::find(train, item) == train.end()) best.push_back(item);
    }
    std::ranges::stable_sort(best, [&](Id x, Id y) {
      return logits[static_cast<std::size_t>(x)] > logits[static_cast<std::size_t>(y)];
    });
    best.resize(10);
    const auto all = table.items_of(user);
    const auto teachers = all.first(std::min<std::size_t>(10, all.size()));
    if (teachers.empty()) continue;
    const auto both =
        std::ranges::count_if(teachers, [&](Id item) { return std::ranges::find(best, item) != best.end(); });
    const auto times = std::ranges::count(rows, user, &CtrRow::user);
    sum += static_cast<double>(times * both);
    entries += times * std::ssize(teachers);
    lists += times;
  }
  const EpochReport second = *bench.trainer().train_epoch(never);
  EXPECT_EQ(told(second, "lists"), static_cast<double>(lists));
  EXPECT_GT(sum, 0);
  EXPECT_NEAR(told(second, "overlap"), sum / static_cast<double>(entries), 1e-9);
  EXPECT_NE(told(second, "first_weight"), told(first, "first_weight"));

  const EpochReport blind = Bench(config({"dllm2rec.share=1", "dllm2rec.consistency=0"})).train();
  EXPECT_TRUE(blind.guidance["overlap"].is_null());
}

TEST_F(Dllm2RecRun, ResumesWithinTheSecondEpochBitForBit) {
  Bench straight(config());
  const nlohmann::json report = to_json(straight.train());
  const std::string whole = straight.checkpoint(folder_ / "a");
  for (const std::int64_t stop : {64, 512, 700}) {
    Bench begun(config());
    begun.trainer().train_epoch(never);
    ASSERT_FALSE(begun.trainer().train_epoch([&](std::int64_t row) { return row >= stop; }).has_value());
    begun.checkpoint(folder_ / "middle");
    Bench resumed(config());
    resumed.trainer().resume(read_safetensors(folder_ / "middle"));
    EXPECT_EQ(to_json(resumed.train()), report) << stop;
    EXPECT_EQ(resumed.checkpoint(folder_ / "b"), whole) << stop;
  }
}

TEST_F(Dllm2RecRun, ALookThatIsStoppedIsTakenAgain) {
  Bench straight(config()), stopped(config());
  straight.train();
  stopped.trainer().train_epoch(never);
  {
    const InterruptGuard guard;
    std::raise(SIGINT);
    EXPECT_FALSE(stopped.trainer().train_epoch(never).has_value());
    EXPECT_EQ(stopped.trainer().row(), 0);
  }
  const InterruptGuard anew;
  stopped.train();
  EXPECT_EQ(stopped.checkpoint(folder_ / "a"), straight.checkpoint(folder_ / "b"));
}

}  // namespace
}  // namespace sllmr
