#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/data/import.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

class Pointwise : public testing::Test {
 protected:
  void SetUp() override { save_recbole(synthetic_dataset(small_world(300, 200)), folder_.path()); }
  Config config(std::vector<std::string> overrides) const {
    std::vector<std::string> words =
        small_ctr_words(folder_ / "synthetic", "pointwise", {"model.name=dcnv2", "train.epochs=3"});
    words.insert(words.end(), overrides.begin(), overrides.end());
    return load_config("", words);
  }
  TemporaryFolder folder_;
};

TEST_F(Pointwise, PullsJudgedRowsToTheirScores) {
  for (const char* loss : {"mse", "bce", "logit"}) {
    const std::string key = std::string("pointwise.loss=") + loss;
    const double first = Bench(config({key, "train.epochs=1"})).train().guidance["loss"];
    const double last = Bench(config({key, "train.epochs=8", "llm.lambda=2"})).train().guidance["loss"];
    EXPECT_LT(last, first) << loss;
  }
}

TEST_F(Pointwise, TakesTheRowsThatGlobalPairsUp) {
  const EpochReport pointwise = Bench(config({})).train(), global = Bench(config({"method=global"})).train();
  EXPECT_GT(told(pointwise, "pairs"), 0);
  EXPECT_EQ(told(pointwise, "pairs"), told(global, "pairs"));
  EXPECT_EQ(told(pointwise, "judged_rows"), 2 * told(global, "pairs"));
  EXPECT_EQ(told(pointwise, "mean_alpha"), 1.0);
}

TEST_F(Pointwise, ItsGateLearnsFromProbesAsThatOfPairs) {
  const std::vector<std::string> gated = {"pointwise.gated=true", "gate.probe_rate=1", "gate.lr=0.3"};
  auto noisy = gated;
  noisy.push_back("llm.noise=1");
  const EpochReport good = Bench(config(gated)).train(), noise = Bench(config(noisy)).train();
  EXPECT_GT(told(good, "probes"), 100);
  EXPECT_GT(told(good, "mean_alpha"), 0.6);
  EXPECT_LT(told(noise, "mean_alpha"), 0.4);
  EXPECT_LT(told(Bench(config({"pointwise.gated=true", "gate.rule=never"})).train(), "mean_alpha"), 1e-6);
}

TEST_F(Pointwise, RowsThatTheGateShutsOutCountInTheMean) {
  const std::vector<CtrRow> rows{{1, 2, 1, 1}, {5, 9, 2, 0}, {7, 3, 1, 1}, {9, 11, 1, 0}};
  const auto logits = [&](std::vector<std::string> words) {
    words.insert(words.end(),
                 {"model.name=mf", "pointwise.gated=true", "gate.rule=cold-or-tail", "llm.lambda=5"});
    Bench bench(config(words));
    const EpochReport report = bench.train();
    EXPECT_GT(told(report, "mean_alpha"), 0.05);
    EXPECT_LT(told(report, "mean_alpha"), 0.95);
    return bench.trainer().ctr_logits(rows);
  };
  EXPECT_LT(norm_error(logits({"gate.skip_below=0.01"}), logits({"gate.skip_below=0"})), 1e-4);
}

TEST_F(Pointwise, PlattTurnsScoresIntoProbabilities) {
  const nlohmann::json fit = Bench(config({"pointwise.calibrate=platt"})).train().guidance["platt"];
  EXPECT_GT(fit["slope"].get<double>(), 0) << "the stand-in knows something";
  // Of noise, scores tell nothing: every probability is about 1/2.
  const nlohmann::json noise =
      Bench(config({"pointwise.calibrate=platt", "llm.noise=1"})).train().guidance["platt"];
  EXPECT_NEAR(noise["slope"].get<double>(), 0, 0.2);
  EXPECT_NEAR(noise["intercept"].get<double>(), 0, 0.2);
}

TEST_F(Pointwise, MatrixFactorisationTakesTheLogitForm) {
  const auto mf = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"model.name=mf", "model.width=32", "train.loss=bpr"};
    words.insert(words.end(), more.begin(), more.end());
    return config(words);
  };
  EXPECT_GT(told(Bench(mf({"pointwise.loss=logit"})).train(), "pairs"), 0);
  EXPECT_THAT(error_of([&] { Bench refused(mf({})); }), HasSubstr("pointwise.loss=logit"));
  EXPECT_THAT(error_of([&] {
                Bench refused(mf({"pointwise.loss=logit", "train.mode=fused"}));
              }),
              HasSubstr("train.mode=exact"));
}

TEST_F(Pointwise, ItsKeysAreChecked) {
  EXPECT_TRUE(config({"pointwise.gated=true"}).part<bool>("pointwise.gated"));
  for (const char* bad : {"pointwise.gated=1", "pointwise.loss=mae", "pointwise.calibrate=true"}) {
    EXPECT_THAT(error_of([&] { config({bad}); }), HasSubstr("expected")) << bad;
  }
}

TEST_F(Pointwise, WhatDoesNotFitIsRefusedBeforeTraining) {
  const auto refusal = [&](std::vector<std::string> words) {
    return error_of([&] { check_training(config(std::move(words))); });
  };
  EXPECT_THAT(refusal({"pointwise.gated=true", "gate.objective=hinge"}),
              HasSubstr("gate.objective=agreement"));
  EXPECT_THAT(refusal({"pointwise.gated=true", "gate.objective=hinge", "gate.rule=random"}),
              HasSubstr("no parameters"));
  EXPECT_EQ(refusal({"pointwise.gated=true", "gate.rule=random"}), "no error");
}

}  // namespace
}  // namespace sllmr
