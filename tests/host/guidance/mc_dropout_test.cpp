// The gate's third uncertainty in whole runs: the passes of Monte Carlo dropout.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "host/data/import.h"
#include "host/runs/training.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class McDropoutRun : public testing::Test {
 protected:
  void SetUp() override { save_recbole(synthetic_dataset(small_world(300, 200)), folder_.path()); }
  Config config(std::vector<std::string> overrides) const {
    std::vector<std::string> words =
        small_ctr_words(folder_ / "synthetic", "agreement",
                        {"run_dir=" + (folder_ / "run"), "model.dropout=0.2", "train.epochs=1",
                         "llm.pair_rate=0.25", "gate.probe_rate=1"});
    words.insert(words.end(), overrides.begin(), overrides.end());
    return recipe_of(words);
  }
  /// Of a run of one epoch: the bytes of all that it trained but the gate.
  static std::vector<std::vector<float>> model_of(const Config& config) {
    const Context host(Device::cpu, 1);
    Bench bench(config);
    bench.train();
    std::vector<std::vector<float>> all;
    for (const NamedBuffer& named : bench.trainer().named_buffers()) {
      if (named.name.starts_with("gate.")) continue;
      if (const auto* buffer = std::get_if<Buffer<float>*>(&named.buffer))
        all.push_back((*buffer)->to_host(host));
    }
    return all;
  }
  std::string error(std::vector<std::string> overrides) const {
    return error_of([&] { Bench(config(std::move(overrides))); });
  }
  TemporaryFolder folder_;
};

constexpr const char* kMc = "gate.uncertainty=mc_dropout";

TEST_F(McDropoutRun, TrainsFromBeginningToEnd) {
  const nlohmann::json summary = train(config({kMc, "gate.mc_passes=4", "train.epochs=4"}), false);
  EXPECT_GT(summary["test"]["auc"]["all"].get<double>(), 0.6);
  EXPECT_GT(summary["guidance"]["pairs"].get<double>(), 0);
  EXPECT_GT(summary["guidance"]["probes"].get<double>(), 0);
  const double alpha = summary["guidance"]["mean_alpha"];
  EXPECT_TRUE(alpha > 0 && alpha < 1) << alpha;
}

TEST_F(McDropoutRun, TheGateLearnsFromIt) {
  const auto parameters = [this](std::vector<std::string> overrides) {
    Bench bench(config(std::move(overrides)));
    bench.train();
    return bench.gate_parameters();
  };
  const std::vector<float> of_passes = parameters({kMc});
  ASSERT_EQ(of_passes.size(), 4U);
  for (const float x : of_passes) EXPECT_TRUE(std::isfinite(x));
  EXPECT_NE(of_passes[2], 0.0F) << "the weight of the uncertainty";
  EXPECT_NE(of_passes, parameters({}));
  EXPECT_NE(of_passes, parameters({kMc, "gate.mc_passes=9"}));
  EXPECT_EQ(of_passes, parameters({kMc, "gate.mc_passes=8"})) << "the default";
}

// With a gate that does not reach the model the passes are all that tells the runs apart.
TEST_F(McDropoutRun, ThePassesLeaveTrainingAlone) {
  for (const char* model : {"model.name=deepfm", "model.name=dcnv2", "model.name=din"}) {
    const auto without = model_of(config({model, "llm.lambda=0"}));
    EXPECT_EQ(model_of(config({model, "llm.lambda=0", kMc})), without) << model;
    EXPECT_NE(model_of(config({model, kMc})), model_of(config({model}))) << model;
  }
}

TEST_F(McDropoutRun, IsTheSameOnTwoThreadsAndAfterAStop) {
  for (const char* method : {"method=agreement", "method=alignment"}) {
    const Config run = config({method, kMc, "train.epochs=2"});
    Bench one(run, 1), two(run, 2), again(run, 1), resumed(run, 1);
    one.train();
    two.train();
    const std::string whole = one.checkpoint(folder_ / "one");
    EXPECT_EQ(two.checkpoint(folder_ / "two"), whole);
    again.trainer().train_epoch([](std::int64_t row) { return row >= 300; });
    again.checkpoint(folder_ / "middle");
    resumed.trainer().resume(read_safetensors(folder_ / "middle"));
    resumed.train();
    EXPECT_EQ(resumed.checkpoint(folder_ / "resumed"), whole);
  }
}

TEST_F(McDropoutRun, TheGateOfPointwiseReadsItToo) {
  const std::vector<std::string> gated = {"method=pointwise", "pointwise.gated=true", "gate.lr=0.3"};
  const auto report = [&](std::vector<std::string> more) {
    more.insert(more.begin(), gated.begin(), gated.end());
    return Bench(config(std::move(more))).train();
  };
  const EpochReport of_passes = report({kMc});
  EXPECT_GT(told(of_passes, "judged_rows"), 0);
  EXPECT_NE(told(of_passes, "mean_alpha"), told(report({}), "mean_alpha"));
  EXPECT_EQ(told(of_passes, "mean_alpha"), told(report({kMc}), "mean_alpha"));
}

TEST_F(McDropoutRun, ARuleThatDoesNotReadItMayNameIt) {
  EXPECT_EQ(model_of(config({"method=global", kMc})), model_of(config({"method=global"})));
  EXPECT_EQ(error({"method=cold-or-tail", kMc, "model.dropout=0"}), "no error");
}

TEST_F(McDropoutRun, NeedsABackboneWithDropout) {
  for (const char* model : {"mf", "lightgcn"}) {
    EXPECT_THAT(error({kMc, std::string("model.name=") + model}),
                AllOf(HasSubstr("gate.uncertainty=mc_dropout"), HasSubstr(std::string("model.name=") + model),
                      HasSubstr("gate.uncertainty=confidence or entropy")));
  }
  for (const char* gated : {"method=agreement", "method=pointwise"}) {
    EXPECT_THAT(error({gated, "pointwise.gated=true", kMc, "model.dropout=0"}),
                AllOf(HasSubstr("gate.uncertainty=mc_dropout"), HasSubstr("model.dropout is 0")));
    // A mask has 16 bits.
    EXPECT_THAT(error({gated, "pointwise.gated=true", kMc, "model.dropout=5e-6"}),
                HasSubstr("too small to drop anything"));
  }
  // The kernels of matrix factorisation, which know logits alone.
  const auto mf = load_config("", std::vector<std::string>{"data.path=" + (folder_ / "synthetic"), kMc});
  EXPECT_THAT(error_of([&] { check_training(mf); }), HasSubstr("model.name=mf"));
}

TEST_F(McDropoutRun, PassesApplyToItAloneAndAreSeveral) {
  EXPECT_THAT(error({"gate.mc_passes=4"}), AllOf(HasSubstr("'gate.mc_passes'"), HasSubstr("does not apply")));
  for (const char* wrong : {"1", "257", "2.5"}) {
    EXPECT_THAT(error({kMc, std::string("gate.mc_passes=") + wrong}), HasSubstr("an integer in [2, 256]"));
  }
}

}  // namespace
}  // namespace sllmr
