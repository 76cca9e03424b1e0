#include <gmock/gmock.h>

#include <cmath>
#include <string>
#include <vector>

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
                          "kd.missing=hlf", "kd.temperature=0"}) {
    EXPECT_THAT(error_of([&] { load_config("", std::vector<std::string>{bad}); }), HasSubstr("expected"))
        << bad;
  }
  EXPECT_THAT(error_of([] { load_config("", std::vector<std::string>{"kd.wieght=1"}); }),
              HasSubstr("did you mean 'kd.weight'"));
  EXPECT_NE(error_of([&] { set.part<double>("kd.nothing"); }), "no error");
}

}  // namespace
}  // namespace sllmr
