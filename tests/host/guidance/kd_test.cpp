#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "host/guidance/text_teacher.h"
#include "tests/host/guidance/rows.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

using Kd = GuidedRows;

TEST_F(Kd, SoftensTheLabelsOfJudgedRows) {
  const auto kd = guidance({"method=kd", "kd.weight=0.5"});
  const BatchPlan rows = plan(*kd);
  ASSERT_EQ(rows.weights.size(), rows.rows.size());
  for (std::size_t k = 0; k < rows.rows.size(); ++k) {
    const auto label = static_cast<double>(k % 3 != 1);
    const auto t = static_cast<double>(score(rows.rows[k]));
    const bool judged = !std::isnan(t);
    EXPECT_EQ(judged || rows.rows[k].item == 2, true);
    EXPECT_NEAR(rows.weights[k], judged ? 1.5 : 1.0, 1e-6);
    EXPECT_NEAR(rows.targets[k], judged ? (label + 0.5 * t) / 1.5 : label, 1e-6);
  }
}

TEST_F(Kd, FillsUnjudgedRowsWithHalfWhereAsked) {
  const auto kd = guidance({"method=kd", "kd.weight=1", "kd.missing=half"});
  const BatchPlan rows = plan(*kd);
  std::int64_t filled = 0;
  for (std::size_t k = 0; k < rows.rows.size(); ++k) {
    if (!std::isnan(score(rows.rows[k]))) continue;
    ++filled;
    EXPECT_FLOAT_EQ(rows.targets[k], k % 3 == 1 ? 0.25F : 0.75F);
    EXPECT_FLOAT_EQ(rows.weights[k], 2.0F);
  }
  EXPECT_GT(filled, 0);
}

/// t of rows with label 0 is their target * (1 + w) / w.
TEST_F(Kd, sTeacherIsWhatTheReleaseCouldHaveMeant) {
  const double s = 0.05;  // the score of item 5
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto teacher = [&](const char* scale, const char* temperature) {
    const auto kd = guidance({"method=kd", "kd.weight=1", std::string("kd.teacher_scale=") + scale,
                              std::string("kd.temperature=") + temperature});
    const BatchPlan rows = plan(*kd);
    EXPECT_EQ(rows.rows[1].item, 5);
    return 2 * static_cast<double>(rows.targets[1]);
  };
  EXPECT_NEAR(teacher("logits", "1"), s, 1e-6);
  EXPECT_NEAR(teacher("logits", "2"), sigmoid(std::log(s / (1 - s)) / 2), 1e-6);
  EXPECT_NEAR(teacher("probability", "1"), sigmoid(2 * s - 1), 1e-6);
  EXPECT_NEAR(teacher("double_softmax", "1"), sigmoid(2 * sigmoid(2 * s - 1) - 1), 1e-6);
}

/// d_logits of the base loss of rows with this plan, and with labels alone.
struct Slopes {
  std::vector<float> guided, plain;
};
Slopes slopes(Context& context, const BatchPlan& plan, const std::vector<float>& labels) {
  const std::size_t rows = labels.size();
  std::vector<float> values(rows);
  for (std::size_t k = 0; k < rows; ++k) values[k] = 3 * std::sin(static_cast<float>(k));
  const Buffer<float> logits(context, std::span<const float>(values)),
      soft(context, std::span<const float>(plan.targets)), hard(context, std::span<const float>(labels)),
      weights(context, std::span<const float>(plan.weights));
  Buffer<float> slots(context, rows * GateColumns::stride);
  const auto run_with = [&](const Buffer<float>& targets, const float* row_weights) {
    Buffer<float> d_logits(context, rows);
    LossHead head;
    head.logits = logits.data();
    head.targets = targets.data();
    head.weights = row_weights;
    head.rows = static_cast<std::int64_t>(rows);
    head.gate.slots = slots.data();
    head.gate.n_slots = static_cast<int>(rows);
    head.d_logits = d_logits.data();
    run(context, head);
    return d_logits.to_host(context);
  };
  return {run_with(soft, weights.data()), run_with(hard, nullptr)};
}

/// A step of SGD is the rate times the gradient, so this is a rate of 1 + w; bit for bit as that is a power
/// of two.
TEST_F(Kd, ATeacherWhoKnowsTheLabelsScalesTheGradients) {
  std::vector<LlmScore> scores;
  for (const LlmScore& each : entries_of(table_)) {
    LlmScore known = each;
    known.score = each.item == 5 ? 0 : 1;
    scores.push_back(known);
    if (each.item == 5) scores.push_back({each.user, 2, 1, false});
  }
  table_ = make_score_table(data_, scores, "made up");
  for (const char* weight : {"kd.weight=1", "kd.weight=3"}) {
    const auto kd = guidance({"method=kd", weight});
    const BatchPlan rows = plan(*kd);
    std::vector<float> labels;
    for (const FeatureRow& row : rows.rows) labels.push_back(row.item == 5 ? 0.0F : 1.0F);
    auto [guided, plain] = slopes(context_, rows, labels);
    for (float& slope : plain) slope *= weight[10] == '1' ? 2.0F : 4.0F;
    EXPECT_EQ(guided, plain) << weight;
  }
}

/// As of PyTorch's BCELoss, whose logarithms are at least -100, where p is 0 or 1: no gradient, and a loss.
TEST_F(Kd, OfRowsThatAreSureIsBounded) {
  const std::vector<float> values = {1000, -1000, 1000, -1000}, soft = {0.25F, 0.25F, 1, 0},
                           row_weights = {1.5F, 1.5F, 1.5F, 1.5F};
  const Buffer<float> logits(context_, std::span<const float>(values)),
      targets(context_, std::span<const float>(soft)), weights(context_, std::span<const float>(row_weights));
  Buffer<float> slots(context_, 4 * GateColumns::stride), d_logits(context_, 4);
  LossHead head;
  head.logits = logits.data();
  head.targets = targets.data();
  head.weights = weights.data();
  head.rows = 4;
  head.loss = BaseLoss::clamped_bce;
  head.gate.slots = slots.data();
  head.gate.n_slots = 4;
  head.d_logits = d_logits.data();
  run(context_, head);
  EXPECT_EQ(d_logits.to_host(context_), std::vector<float>(4, 0.0F));
  double sum = 0;
  for (std::size_t k = 0; k < 4; ++k) {
    sum += static_cast<double>(slots.to_host(context_)[k * GateColumns::stride + GateColumns::loss]);
  }
  EXPECT_NEAR(sum, 1.5 * 100 * (0.75 + 0.25), 1e-3);
}

TEST_F(Kd, ATableWithoutScoresIsNone) {
  table_ = make_score_table(data_, {}, "empty");
  const auto kd = guidance({"method=kd", "kd.weight=0.5"});
  const BatchPlan rows = plan(*kd);
  std::vector<float> labels;
  for (std::size_t k = 0; k < rows.rows.size(); ++k) labels.push_back(k % 3 == 1 ? 0.0F : 1.0F);
  const auto [guided, plain] = slopes(context_, rows, labels);
  EXPECT_EQ(guided, plain);
}

TEST_F(Kd, TakesATeacherThatReadsTexts) {
  const auto kd = guidance({"method=kd", "kd.teacher=vectors", "kd.weight=0.5", "data.max_history=3"});
  const TextTeacher teacher(vectors_for(config_, data_), split_, config_.seed, 3, 1);
  BatchPlan rows;
  for (Id user = 1; user < 11; ++user) {
    for (std::int32_t position = 0; position < 3; ++position) {
      rows.rows.push_back({user, 1 + user * 7 % 50, position});
      rows.targets.push_back(static_cast<float>(position % 2));
    }
  }
  rows.count = std::ssize(rows.rows);
  kd->plan(rows);
  for (std::size_t k = 0; k < rows.rows.size(); ++k) {
    const int position = rows.rows[k].position;
    const auto label = static_cast<double>(position % 2);
    const auto t = static_cast<double>(teacher(rows.rows[k]));
    EXPECT_EQ(rows.weights[k], position > 0 ? 1.5F : 1.0F) << "without a history there is no t";
    EXPECT_NEAR(rows.targets[k], position > 0 ? (label + 0.5 * t) / 1.5 : label, 1e-6);
  }
}

TEST_F(Kd, TellsHowTextsBecameATeacher) {
  const auto kd = guidance({"method=kd", "kd.teacher=vectors"});
  plan(*kd);
  const nlohmann::json told = kd->report(1).guidance;
  const TextTeacher teacher(vectors_for(config_, data_), split_, config_.seed, 20, 1);
  const auto [lowest, highest] = std::ranges::minmax(teacher.of_training_rows());
  EXPECT_EQ(told["teacher"]["lowest"], lowest);
  EXPECT_EQ(told["teacher"]["highest"], highest);
  EXPECT_EQ(told["fit"]["even_users"]["slope"], teacher.fits()[0].slope);
  EXPECT_EQ(told["fit"]["odd_users"]["intercept"], teacher.fits()[1].intercept);
  EXPECT_TRUE(guidance({"method=kd"})->report(1).guidance["fit"]["odd_users"]["slope"].is_null());
}

TEST_F(Kd, BprHasNoLabelsToSoften) {
  EXPECT_THAT(error_of([] {
                find_guidance(load_config("", std::vector<std::string>{"method=kd", "train.loss=bpr"}));
              }),
              HasSubstr("train.loss=bce"));
}

TEST(KdKeys, AreKeysLikeOthers) {
  const Config set = load_config("", std::vector<std::string>{"kd.weight=1", "kd.missing=half"});
  EXPECT_EQ(set.part<double>("kd.weight"), 1.0);
  EXPECT_EQ(set.part<std::string>("kd.missing"), "half");
  EXPECT_EQ(set.part<double>("kd.temperature"), 1.0);  // its default
  EXPECT_TRUE(set.is_set("kd.weight"));
  EXPECT_FALSE(set.is_set("kd.temperature"));
  const Config again = parse_config(to_toml(set), "again");
  EXPECT_EQ(first_difference(set, again), "");
  EXPECT_EQ(again.part<double>("kd.weight"), 1.0);
  EXPECT_EQ(first_difference(set, Config()), "kd.weight was 1.0, is 0.1");
  for (const char* bad : {"kd.weight=nan", "kd.weight=-1", "kd.weight=inf", "kd.weight=many",
                          "kd.missing=hlf", "kd.temperature=0", "kd.teacher=llm"}) {
    EXPECT_THAT(error_of([&] { load_config("", std::vector<std::string>{bad}); }), HasSubstr("expected"))
        << bad;
  }
  EXPECT_THAT(error_of([] { load_config("", std::vector<std::string>{"kd.wieght=1"}); }),
              HasSubstr("did you mean 'kd.weight'"));
  EXPECT_NE(error_of([&] { set.part<double>("kd.nothing"); }), "no error");
}

}  // namespace
}  // namespace sllmr
