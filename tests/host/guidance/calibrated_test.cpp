// The objective `calibrated` in whole runs, on a world where it is known how often the LLM is right.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/data/import.h"
#include "host/guidance/gate_spec.h"
#include "host/guidance/gate_telemetry.h"
#include "host/runs/training.h"
#include "kernels/exec/random.h"
#include "kernels/gates/columns.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double kRightOfCold = 0.9, kRightOfWarm = 0.5;

/// Each user's last training item and nine other candidates of scores in (.2, .8): the probe is above all of
/// them with the user's probability, else below.
ScoreTable table_of_known_truth(const Dataset& data, const Split& split) {
  std::vector<LlmScore> scores;
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto of = split.train_items(user);
    if (of.empty()) continue;
    const Id probe = of.back();
    const auto draw = [&](std::uint64_t k) {
      return uniform(philox(7, 0, static_cast<std::uint64_t>(user) * 64 + k, Purpose::probe).word[0]);
    };
    const bool cold = split.cold[static_cast<std::size_t>(user)] != 0;
    const bool right = static_cast<double>(draw(0)) < (cold ? kRightOfCold : kRightOfWarm);
    scores.push_back({user, probe, right ? 0.9F : 0.1F, true});
    const Id items = data.items.rows() - 1;
    for (Id k = 1; k < 10; ++k) {
      const Id item = 1 + (probe - 1 + k * (items / 10)) % items;
      scores.push_back({user, item, 0.2F + 0.6F * draw(static_cast<std::uint64_t>(k))});
    }
  }
  return make_score_table(data, scores, "known truth");
}

class CalibratedRun : public testing::Test {
 protected:
  void SetUp() override {
    const Dataset data = synthetic_dataset(small_world(3000, 400));
    save_recbole(data, folder_.path());
    const World world = load_world(config({}));
    write_scores(folder_ / "scores.tsv", table_of_known_truth(*world.data, world.split), *world.data, false);
  }
  Config config(std::vector<std::string> overrides) const {
    std::vector<std::string> words = {"data.path=" + (folder_ / "synthetic"),
                                      "run_dir=" + (folder_ / "run"),
                                      "device=cpu",
                                      "threads=1",
                                      "data.cold_history=8",
                                      "llm.scorer=file",
                                      "llm.scores=" + (folder_ / "scores.tsv"),
                                      "llm.allow_leak=true",
                                      "train.epochs=8",
                                      "train.chunk_rows=2048",
                                      "method=calibrated"};
    words.insert(words.end(), overrides.begin(), overrides.end());
    return load_config("", words);
  }
  static double alpha_of(const EpochReport& report, const char* bucket) {
    return report.guidance["buckets"][bucket]["mean_alpha"];
  }
  static double weight_of(const EpochReport& report, const char* bucket) {
    return report.guidance["buckets"][bucket]["mean_weight"];
  }

  TemporaryFolder folder_;
};

TEST_F(CalibratedRun, AlphaIsHowOftenTheLlmIsRightAlsoForUsersItHasNotLearnedFrom) {
  for (const char* probes : {"gate.probes=any", "gate.probes=matched"}) {
    SCOPED_TRACE(probes);
    const EpochReport report = Bench(config({probes, "gate.probe_rate=0.5"})).train();
    EXPECT_NEAR(alpha_of(report, "cold_head"), kRightOfCold, 0.06);
    EXPECT_NEAR(alpha_of(report, "warm_head"), kRightOfWarm, 0.06);
    EXPECT_GT(weight_of(report, "cold_head"), 0.6);
    EXPECT_LT(weight_of(report, "warm_head"), 0.15);
    EXPECT_GT(told(report, "calibration_error"), 0);
    EXPECT_LT(told(report, "calibration_error"), 0.05);
    EXPECT_TRUE(report.guidance["collapsed"].is_null());
    double held_out = 0;
    for (const auto& bin : report.guidance["reliability"]) held_out += bin["count"].get<double>();
    EXPECT_NEAR(held_out / told(report, "probes"), 1.0 / 8, 0.03);
  }
}

TEST_F(CalibratedRun, AsksForTheRulePenaltySidesAndProbesThatSuitIt) {
  const GateSpec spec = gate_spec(config({}));
  EXPECT_EQ(spec.rule->name, "confident");
  EXPECT_EQ(spec.penalty->name, "soft");
  EXPECT_TRUE(spec.least_side);
  EXPECT_TRUE(spec.matched_probes);
  const GateSpec agreement = gate_spec(config({"method=agreement"}));
  EXPECT_EQ(agreement.rule->name, "learned");
  EXPECT_EQ(agreement.penalty->name, "hinge");
  EXPECT_FALSE(agreement.least_side);
  EXPECT_FALSE(agreement.matched_probes);
  const GateSpec given =
      gate_spec(config({"gate.rule=learned", "llm.penalty=hinge", "gate.sides=mean", "gate.probes=any"}));
  EXPECT_EQ(given.rule->name, "learned");
  EXPECT_EQ(given.penalty->name, "hinge");
  EXPECT_FALSE(given.least_side);
  EXPECT_FALSE(given.matched_probes);
}

TEST_F(CalibratedRun, RefusesNamesThatThereAreNot) {
  EXPECT_THAT(error_of([&] { gate_spec(config({"llm.penalty=sof"})); }),
              AllOf(HasSubstr("llm.penalty"), HasSubstr("soft")));
  EXPECT_THAT(error_of([&] { gate_spec(config({"gate.rule=confidnt"})); }), HasSubstr("confident"));
  EXPECT_THAT(error_of([&] { check_training(config({"gate.mean_alpha=0.2"})); }),
              AllOf(HasSubstr("gate.mean_alpha"), HasSubstr("random")));
  EXPECT_EQ(gate_spec(config({"method=random", "gate.mean_alpha=0.2"})).rule->name, "random");
}

TEST_F(CalibratedRun, ARandomGateHasTheMeanThatIsAskedFor) {
  for (const char* mean : {"0.2", "0.7"}) {
    const EpochReport report =
        Bench(config({"method=random", std::string("gate.mean_alpha=") + mean, "train.epochs=1"})).train();
    EXPECT_NEAR(told(report, "mean_weight"), std::stod(mean), 0.02);
  }
}

TEST_F(CalibratedRun, AnOracleBelievesWhatNoiseLeft) {
  const EpochReport report =
      Bench(config({"method=oracle", "llm.noise=0.4", "gate.sides=mean", "train.epochs=1"})).train();
  EXPECT_NEAR(told(report, "mean_weight"), 0.6, 0.03);
  EXPECT_EQ(told(Bench(config({"method=oracle", "train.epochs=1"})).train(), "mean_weight"), 1.0);
  EXPECT_TRUE(gate_spec(config({"method=oracle"})).least_side) << "one replaced score spoils its pair";
}

/// Sums of an epoch in which each of the buckets had pairs of this weight.
std::vector<double> totals_of_weights(const std::vector<double>& weights, double probes = 0) {
  std::vector<double> totals(GateColumns::used);
  for (std::size_t b = 0; b < weights.size(); ++b) {
    double* bucket = totals.data() + GateColumns::bucket + GateColumns::bucket_columns * b;
    bucket[0] = 100;
    bucket[1] = bucket[3] = 100 * weights[b];
  }
  totals[GateColumns::probes] = probes;
  return totals;
}

TEST(GateTelemetry, SaysWhenAGateThatLearnsNoLongerSelects) {
  const GateSpec learned{.rule = find_gate_part(gate_rules(), "learned"),
                         .objective = find_gate_part(gate_objectives(), "agreement"),
                         .penalty = find_gate_part(gate_penalties(), "hinge")};
  const auto collapsed = [&](const GateSpec& spec, const std::vector<double>& weights) {
    return gate_telemetry(spec, false, {}, totals_of_weights(weights, 10));
  };
  EXPECT_EQ(collapsed(learned, {0.001, 0, 0.005, 0.009})["collapsed"], "shut");
  EXPECT_THAT(collapsed(learned, {0.001, 0, 0.005, 0.009})["warning"].get<std::string>(),
              HasSubstr("method=none"));
  EXPECT_EQ(collapsed(learned, {0.995, 1, 0.999})["collapsed"], "open")
      << "a bucket without pairs says nothing";
  EXPECT_THAT(collapsed(learned, {1})["warning"].get<std::string>(), HasSubstr("global"));
  for (const std::vector<double>& weights : {std::vector{0.001, 0.0, 0.02}, {0.995, 0.98}, {0.0, 1.0}, {}}) {
    EXPECT_TRUE(collapsed(learned, weights)["collapsed"].is_null());
    EXPECT_FALSE(collapsed(learned, weights).contains("warning"));
  }
  GateSpec always = learned;
  always.rule = find_gate_part(gate_rules(), "always");
  EXPECT_FALSE(collapsed(always, {1, 1, 1, 1}).contains("collapsed")) << "nothing that learns";
  std::vector<double> without_probes = totals_of_weights({0, 0});
  EXPECT_THAT(gate_telemetry(learned, false, {}, without_probes)["warning"].get<std::string>(),
              HasSubstr("gate.probe_rate"));
}

TEST(GateTelemetry, CalibrationErrorIsTheMeanDistanceOfTheBins) {
  const GateSpec spec{.rule = find_gate_part(gate_rules(), "confident"),
                      .objective = find_gate_part(gate_objectives(), "calibrated"),
                      .penalty = find_gate_part(gate_penalties(), "soft")};
  std::vector<double> totals(GateColumns::used);
  const auto fill = [&](float alpha, double count, double right) {
    double* bin = totals.data() + GateColumns::reliability_of(alpha);
    bin[0] = count, bin[1] = count * static_cast<double>(alpha), bin[2] = right;
  };
  fill(0.75F, 100, 70);  // off by 5
  fill(0.25F, 300, 90);  // off by 15
  const auto told = gate_telemetry(spec, true, {}, totals);
  EXPECT_NEAR(told["calibration_error"].get<double>(), 20.0 / 400, 1e-6);
  EXPECT_EQ(told["reliability"].size(), 10U);
  EXPECT_NEAR(told["reliability"][7]["right"].get<double>(), 0.7, 1e-9);
  EXPECT_TRUE(told["reliability"][0]["right"].is_null());
  EXPECT_EQ(GateColumns::reliability_of(0.0F), GateColumns::reliability);
  EXPECT_EQ(GateColumns::reliability_of(1.0F), GateColumns::reliability + 27);
  EXPECT_EQ(GateColumns::reliability_of(NAN), GateColumns::reliability + 27);
}

}  // namespace
}  // namespace sllmr
