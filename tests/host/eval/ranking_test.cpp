#include "host/eval/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "kernels/exec/interrupt.h"
#include "models/mf.h"
#include "tests/host/eval/worlds.h"
#include "tests/host/support.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

constexpr int kCutoffs[] = {1, 5};

/// The definition of the protocol, row by row, in double precision.
struct NaiveSlice {
  std::int64_t n = 0;
  double auc = 0, recall[2] = {0, 0}, ndcg[2] = {0, 0};
};
struct Naive {
  NaiveSlice all, cold, tail;
  std::int64_t without_negatives = 0;
};

template <class Logit>
Naive naive(const Split& split, Target target, Logit logit) {
  Naive out;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto history = split.data->user_history(user);
    if (history.size() < 3) continue;
    const std::size_t at = history.size() - (target == Target::test ? 1 : 2);
    const Id positive = history[at];
    const std::set<Id> seen(history.begin(), history.begin() + static_cast<std::ptrdiff_t>(at));
    std::vector<double> negatives;
    for (Id item = 1; item < split.data->items.rows(); ++item) {
      if (item != positive && !seen.contains(item)) negatives.push_back(logit(user, item));
    }
    if (negatives.empty()) {
      ++out.without_negatives;
      continue;
    }
    const double mine = logit(user, positive);
    const auto above = std::ranges::count_if(negatives, [&](double x) { return x > mine; });
    const auto ties = std::ranges::count(negatives, mine);
    const auto below = static_cast<std::int64_t>(negatives.size()) - above - ties;
    const auto add = [&](NaiveSlice& slice) {
      ++slice.n;
      slice.auc += (static_cast<double>(below) + 0.5 * static_cast<double>(ties)) /
                   static_cast<double>(negatives.size());
      for (int k = 0; k < 2; ++k) {
        for (auto rank = above + 1; rank <= std::min<std::int64_t>(above + ties + 1, kCutoffs[k]); ++rank) {
          slice.recall[k] += 1.0 / static_cast<double>(ties + 1);
          slice.ndcg[k] +=
              std::log(2.0) / std::log(static_cast<double>(rank + 1)) / static_cast<double>(ties + 1);
        }
      }
    };
    add(out.all);
    if (split.cold[static_cast<std::size_t>(user)] != 0) add(out.cold);
    if (split.tail[static_cast<std::size_t>(positive)] != 0) add(out.tail);
  }
  return out;
}

void expect_slice(const Figures& figures, Slice slice, const NaiveSlice& expected) {
  SCOPED_TRACE(kSliceNames[static_cast<std::size_t>(slice)]);
  ASSERT_EQ(figures.rows(slice), expected.n);
  ASSERT_GT(expected.n, 0);
  const auto n = static_cast<double>(expected.n);
  EXPECT_NEAR(figures.of("auc", slice).value(), expected.auc / n, 1e-12);
  for (std::size_t k = 0; k < 2; ++k) {
    const std::string at = "@" + std::to_string(kCutoffs[k]);
    EXPECT_NEAR(figures.of("recall" + at, slice).value(), expected.recall[k] / n, 1e-12);
    EXPECT_NEAR(figures.of("ndcg" + at, slice).value(), expected.ndcg[k] / n, 1e-12);
  }
}

TEST(FullRanking, SomeUsersAreSpreadEvenlyAndRankedAsAmongAll) {
  const Context context(Device::cpu, 2);
  const Dataset data = random_data(300, 60, 4);
  const Split split = leave_one_out(data);
  const FixedScorer scorer(data, 3);
  const RankingResult all = evaluate_full(context, scorer, split, Target::test, kCutoffs);
  const RankingResult some = evaluate_full(context, scorer, split, Target::test, kCutoffs, 50);
  ASSERT_EQ(some.figures.rows(), 50);
  std::size_t k = 0;
  Id before = 0;
  for (const RankedRow& row : some.rows) {
    while (k < all.rows.size() && all.rows[k].user != row.user) ++k;
    ASSERT_LT(k, all.rows.size());
    EXPECT_EQ(row.above, all.rows[k].above);
    EXPECT_LE(row.user - before, 12);  // 300 / 50, and users without a test item between them
    before = row.user;
  }
  EXPECT_EQ(evaluate_full(context, scorer, split, Target::test, kCutoffs, 100000).figures.rows(),
            all.figures.rows());
}

TEST(FullRanking, BestItemsAreThoseOfHighestLogitOutsideTraining) {
  const Dataset data = random_data(100, 30, 5);
  const Split split = leave_one_out(data);
  const FixedScorer scorer(data, 3);
  const std::vector<Id> users{2, 3, 50, 99, 7};
  constexpr std::size_t kLength = 28;  // more than some users have
  const auto best = best_items(Context(Device::cpu, 2), scorer, split, users, kLength);
  ASSERT_EQ(best.size(), users.size() * kLength);
  for (std::size_t k = 0; k < users.size(); ++k) {
    const auto train = split.train_items(users[k]);
    std::vector<Id> expected;
    for (Id item = 1; item < data.items.rows(); ++item) {
      if (std::ranges::find(train, item) == train.end()) expected.push_back(item);
    }
    std::ranges::stable_sort(
        expected, [&](Id x, Id y) { return scorer.logit(users[k], x) > scorer.logit(users[k], y); });
    expected.resize(kLength);
    EXPECT_EQ(std::vector<Id>(best.begin() + static_cast<std::ptrdiff_t>(k * kLength),
                              best.begin() + static_cast<std::ptrdiff_t>((k + 1) * kLength)),
              expected);
  }
  EXPECT_TRUE(best_items(Context(Device::cpu, 2), scorer, split, {}, 3).empty());
}

TEST(FullRanking, EqualsItsDefinition) {
  const Context context(Device::cpu, 2);
  for (const Id items : {9, 60}) {  // with 9 items some users have touched all others
    const Dataset data = random_data(300, items, static_cast<std::uint32_t>(items));
    const Split split = leave_one_out(data);
    const FixedScorer scorer(data, 3);
    for (const Target target : {Target::validation, Target::test}) {
      SCOPED_TRACE(testing::Message() << items << " items, target " << static_cast<int>(target));
      const RankingResult result = evaluate_full(context, scorer, split, target, kCutoffs);
      const Naive expected =
          naive(split, target, [&](Id user, Id item) { return double{scorer.logit(user, item)}; });
      expect_slice(result.figures, Slice::all, expected.all);
      expect_slice(result.figures, Slice::cold, expected.cold);
      expect_slice(result.figures, Slice::tail, expected.tail);
      EXPECT_EQ(result.without_negatives, expected.without_negatives);
    }
  }
}

TEST(FullRanking, HandExample) {
  // Training 1, 2; validation 3; test 4. Negatives of the test row: 5, 6, 7; of the validation row also 4.
  const Dataset data = data_of({{1, 2, 3, 4}, {1, 2}}, 7);
  const Split split = leave_one_out(data);
  FixedScorer scorer(8, std::vector<float>(3 * 8));
  const float logits[] = {0, 9, 9, 0.4F, 0.5F, 0.7F, 0.5F, 0.1F};
  for (Id item = 0; item < 8; ++item) scorer.logit(1, item) = logits[item];
  const Context context(Device::cpu);

  const RankingResult test = evaluate_full(context, scorer, split, Target::test, kCutoffs);
  ASSERT_EQ(test.rows.size(), 1U);  // user 2 has no test item
  EXPECT_EQ(test.rows[0].user, 1);
  EXPECT_EQ(test.rows[0].item, 4);
  EXPECT_EQ(test.rows[0].above, 1);
  EXPECT_EQ(test.rows[0].ties, 1);
  EXPECT_EQ(test.rows[0].negatives, 3);
  EXPECT_DOUBLE_EQ(test.rows[0].rank(), 2.5);
  EXPECT_DOUBLE_EQ(test.figures.of("auc").value(), 0.5);
  EXPECT_DOUBLE_EQ(test.figures.of("recall@1").value(), 0.0);
  EXPECT_DOUBLE_EQ(test.figures.of("recall@5").value(), 1.0);

  const RankingResult validation = evaluate_full(context, scorer, split, Target::validation, kCutoffs);
  EXPECT_EQ(validation.rows[0].item, 3);
  EXPECT_EQ(validation.rows[0].negatives, 4);  // 4, the test item, among them
  EXPECT_DOUBLE_EQ(validation.figures.of("auc").value(), 0.25);
}

TEST(FullRanking, ATargetThatTheUserHadBeforeStaysTheTarget) {
  const Dataset data = data_of({{1, 2, 1, 3, 1}}, 4);
  const Split split = leave_one_out(data);
  const FixedScorer scorer(5, {0, 0, 0, 0, 0, 0, 0.5F, 0.1F, 0.2F, 0.3F});
  const RankingResult result = evaluate_full(Context(Device::cpu), scorer, split, Target::test, kCutoffs);
  EXPECT_EQ(result.rows[0].item, 1);
  EXPECT_EQ(result.rows[0].negatives, 1);  // item 4 alone
  EXPECT_DOUBLE_EQ(result.figures.of("auc").value(), 1.0);
}

TEST(FullRanking, RowsWithoutNegativesAreCountedAndLeftOut) {
  const Dataset data = data_of({{1, 2, 3}, {1, 2, 4}, {1, 2, 3, 4}}, 4);
  const Split split = leave_one_out(data);
  const FixedScorer scorer(data, 1);
  const RankingResult result = evaluate_full(Context(Device::cpu), scorer, split, Target::test, kCutoffs);
  EXPECT_EQ(result.figures.rows(), 2);
  EXPECT_EQ(result.without_negatives, 1);

  const Dataset exhausted = data_of({{1, 2, 3}}, 3);
  const Split no_rows = leave_one_out(exhausted);
  EXPECT_THAT(error_of([&] {
                evaluate_full(Context(Device::cpu), FixedScorer(exhausted, 1), no_rows, Target::test,
                              kCutoffs);
              }),
              HasSubstr("no user has a test item"));
}

TEST(FullRanking, NanIsAnError) {
  const Dataset data = random_data(50, 20, 4);
  const Split split = leave_one_out(data);
  const Context context(Device::cpu);
  FixedScorer scorer(data, 1);
  Id user = 1;
  while (split.test[static_cast<std::size_t>(user)] == 0) ++user;
  for (const Id item : {Id{7}, split.test[static_cast<std::size_t>(user)], data.user_history(user)[0]}) {
    const float good = scorer.logit(user, item);
    scorer.logit(user, item) = kNan;
    EXPECT_THAT(error_of([&] { evaluate_full(context, scorer, split, Target::test, kCutoffs); }),
                HasSubstr("lower train.lr"));
    scorer.logit(user, item) = good;
  }
  EXPECT_NO_THROW(evaluate_full(context, scorer, split, Target::test, kCutoffs));
}

TEST(FullRanking, RefusesBadArguments) {
  const Dataset data = random_data(50, 20, 4);
  const Split split = leave_one_out(data);
  const Context context(Device::cpu);
  const FixedScorer scorer(data, 1), other(5, std::vector<float>(5 * 51));
  const int zero[] = {0};
  EXPECT_THAT(error_of([&] { evaluate_full(context, scorer, split, Target::test, zero); }),
              HasSubstr("eval.topk"));
  EXPECT_THAT(error_of([&] { evaluate_full(context, other, split, Target::test, kCutoffs); }),
              HasSubstr("other data"));
}

TEST(FullRanking, AnErrorInOneTileReachesTheCaller) {
  class Failing final : public Scorer {
   public:
    Id item_rows() const override { return 5001; }
    std::int64_t scratch_floats(std::int64_t) const override { return 0; }
    void score_tile(const Context&, const Id*, std::int64_t, float*, float*) const override {
      throw Error("no scores today");
    }
    void score_pairs(const Context&, const Id*, const Id*, std::int64_t, float*) const override {}
  };
  const Dataset data = random_data(500, 5000, 4);
  const Split split = leave_one_out(data);
  for (const int threads : {1, 2}) {
    EXPECT_EQ(error_of([&] {
                evaluate_full(Context(Device::cpu, threads), Failing(), split, Target::test, kCutoffs);
              }),
              "no scores today");
  }
}

/// Enough items for several tiles.
RankingResult evaluate_mf(const Context& context, const Split& split, bool lists = false) {
  const Mf model(context, split.data->users.rows(), split.data->items.rows(),
                 {64, 0.1, 1, OptimizerKind::sgd});
  return evaluate_full(context, model, split, Target::test, kCutoffs, 0, lists);
}

/// With whole numbers, so that every processor's scores are exact; tiles of several threads.
TEST(FullRanking, OfInnerProductsEqualsTheDefinition) {
  const Dataset data = random_data(1300, 500, 4);
  const Split split = leave_one_out(data);
  for (const int threads : {1, 3}) {
    const Context context(Device::cpu, threads);
    Mf model(context, data.users.rows(), data.items.rows(), {32, 0.1, 1, OptimizerKind::sgd});
    std::mt19937 engine(3);
    std::vector<std::vector<float>> tables;
    for (NamedBuffer& each : model.named_buffers()) {
      auto* table = std::get<Buffer<float>*>(each.buffer);
      std::vector<float>& values = tables.emplace_back(table->size());
      for (float& x : values) x = static_cast<float>(engine() % 5) - 2;
      table->assign(context, values);
    }
    const auto logit = [&](Id user, Id item) {
      double sum = 0;
      for (std::size_t k = 0; k < 32; ++k) {
        sum += tables[0][static_cast<std::size_t>(user) * 32 + k] *
               tables[1][static_cast<std::size_t>(item) * 32 + k];
      }
      return sum;
    };
    for (const bool lists : {false, true}) {
      const RankingResult result = evaluate_full(context, model, split, Target::test, kCutoffs, 0, lists);
      const Naive expected = naive(split, Target::test, logit);
      expect_slice(result.figures, Slice::all, expected.all);
      expect_slice(result.figures, Slice::cold, expected.cold);
      expect_slice(result.figures, Slice::tail, expected.tail);
    }
  }
}

/// A model during whose second tile the user presses Ctrl-C.
class InterruptedModel final : public Scorer {
 public:
  explicit InterruptedModel(const Mf& model) : model_(model) {}
  int tiles() const { return tiles_; }
  /// Tiles that began when the signal had been raised.
  int late_tiles() const { return late_; }

  Id item_rows() const override { return model_.item_rows(); }
  std::int64_t scratch_floats(std::int64_t users) const override { return model_.scratch_floats(users); }
  void score_tile(const Context& context, const Id* users, std::int64_t n, float* scratch,
                  float* logits) const override {
    if (raised_) ++late_;
    if (++tiles_ == 2) {
      std::raise(SIGINT);
      raised_ = true;
    }
    model_.score_tile(context, users, n, scratch, logits);
  }
  void score_pairs(const Context& context, const Id* users, const Id* items, std::int64_t n,
                   float* logits) const override {
    model_.score_pairs(context, users, items, n, logits);
  }

 private:
  const Mf& model_;
  mutable std::atomic<int> tiles_ = 0, late_ = 0;
  mutable std::atomic<bool> raised_ = false;
};

TEST(FullRanking, StopsAtTheNextTileWhenInterrupted) {
  const Dataset data = random_data(700, 5000, 4);
  const Split split = leave_one_out(data);
  for (const int threads : {1, 2}) {
    const Context context(Device::cpu, threads);
    const Mf mf(context, split.data->users.rows(), split.data->items.rows(),
                {32, 0.1, 1, OptimizerKind::sgd});
    const InterruptedModel model(mf);
    const InterruptGuard guard;
    EXPECT_THROW(evaluate_full(context, model, split, Target::test, kCutoffs), Interrupted);
    EXPECT_GE(model.tiles(), 2);
    EXPECT_LE(model.late_tiles(), threads - 1) << "the others may have been on their way";
  }
  const InterruptGuard forgotten;  // by the tests that follow
}

TEST(FullRanking, DoesNotDependOnTheNumberOfThreads) {
  const Dataset data = random_data(700, 5000, 8);
  const Split split = leave_one_out(data);
  const RankingResult one = evaluate_mf(Context(Device::cpu, 1), split, true),
                      two = evaluate_mf(Context(Device::cpu, 2), split, true);
  EXPECT_EQ(one.lists, two.lists);
  EXPECT_EQ(to_json(one), to_json(two));
  ASSERT_EQ(one.rows.size(), two.rows.size());
  for (std::size_t k = 0; k < one.rows.size(); ++k) EXPECT_EQ(one.rows[k].above, two.rows[k].above);
  EXPECT_NEAR(one.figures.of("auc").value(), 0.5, 0.05);  // an untrained model
}

TEST(FullRankingCuda, EqualsTheCpu) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Dataset data = random_data(700, 5000, 8);
  const Split split = leave_one_out(data);
  const RankingResult cpu = evaluate_mf(Context(Device::cpu), split),
                      cuda = evaluate_mf(Context(Device::cuda), split);
  ASSERT_EQ(cpu.rows.size(), cuda.rows.size());
  // Sums in another order move near-ties by a place or two.
  for (std::size_t k = 0; k < cpu.rows.size(); ++k) {
    EXPECT_NEAR(cpu.rows[k].rank(), cuda.rows[k].rank(), 3.0);
    EXPECT_EQ(cpu.rows[k].negatives, cuda.rows[k].negatives);
  }
  EXPECT_NEAR(cpu.figures.of("auc").value(), cuda.figures.of("auc").value(), 1e-5);
}

TEST(FullRanking, ListsAreTheBestOfWhatIsRanked) {
  // Training 1, 2; validation 3; test 4: the user is ranked against 4, 5, 6 and 7.
  const Dataset data = data_of({{1, 2, 3, 4}, {1, 2}}, 7);
  const Split split = leave_one_out(data);
  FixedScorer scorer(8, std::vector<float>(3 * 8));
  const float logits[] = {9, 9, 9, 0.4F, 0.5F, 0.7F, 0.5F, 0.1F};
  for (Id item = 0; item < 8; ++item) scorer.logit(1, item) = logits[item];
  const Context context(Device::cpu);
  const auto lists = [&](Target target, std::vector<int> top_k) {
    return evaluate_full(context, scorer, split, target, top_k, 0, true).lists;
  };
  EXPECT_EQ(lists(Target::test, {1, 3}), (std::vector<Id>{5, 4, 6}));
  EXPECT_EQ(lists(Target::validation, {3}), (std::vector<Id>{5, 4, 6}));
  EXPECT_EQ(lists(Target::test, {1, 100}), (std::vector<Id>{5, 4, 6, 7, 0, 0, 0}))
      << "the catalogue's length";
  EXPECT_EQ(evaluate_full(context, scorer, split, Target::test, kCutoffs).lists, std::vector<Id>());
}

TEST(FullRanking, ListsChangeNoOtherFigure) {
  const Dataset data = random_data(300, 60, 4);
  const Split split = leave_one_out(data);
  const FixedScorer scorer(data, 3);
  const Context context(Device::cpu, 2);
  nlohmann::json with = to_json(evaluate_full(context, scorer, split, Target::test, kCutoffs, 0, true));
  const nlohmann::json without = to_json(evaluate_full(context, scorer, split, Target::test, kCutoffs));
  EXPECT_TRUE(with.contains("coverage@5"));
  EXPECT_FALSE(without.contains("coverage@5"));
  for (const auto& [name, value] : without.items()) EXPECT_EQ(with[name], value) << name;
}

TEST(FullRanking, JsonNamesProtocolSlicesAndCutOffs) {
  const Dataset data = data_of({{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}}, 9);
  const Split split = leave_one_out(data, {.cold_history = 1, .tail_share = 0.0});
  const FixedScorer scorer(data, 2);
  const RankingResult result = evaluate_full(Context(Device::cpu), scorer, split, Target::test, kCutoffs);
  const nlohmann::json json = to_json(result);
  EXPECT_EQ(json["protocol"], "full");
  EXPECT_EQ(json["n"], (nlohmann::json{{"all", 2}, {"cold", 0}, {"tail", 0}}));
  EXPECT_EQ(json["auc"]["all"], result.figures.of("auc").value());
  EXPECT_EQ(json["recall@5"]["all"], result.figures.of("recall@5").value());
  EXPECT_EQ(json["ndcg@1"]["all"], result.figures.of("ndcg@1").value());
  EXPECT_TRUE(json["auc"]["cold"].is_null());
  EXPECT_TRUE(json["ndcg@5"]["tail"].is_null());
  EXPECT_EQ(json["without_negatives"], 0);
}

}  // namespace
}  // namespace sllmr
