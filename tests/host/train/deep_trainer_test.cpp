// Deep backbones in whole runs on a small made-up world: what they write, how they resume, what the penalty
// does.
#include "host/train/deep_trainer.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "host/data/import.h"
#include "host/data/synthetic.h"
#include "host/runs/run_folder.h"
#include "host/runs/training.h"
#include "host/train/fresh_negatives.h"
#include "host/train/stored_model.h"
#include "models/registry.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

class DeepTraining : public testing::Test {
 protected:
  void SetUp() override { save_recbole(synthetic_dataset(small_world(300, 200)), folder_.path()); }

  Config config(std::vector<std::string> overrides) const {
    overrides.insert(
        overrides.begin(),
        {"data.path=" + (folder_ / "synthetic"), "run_dir=" + (folder_ / "run"), "device=cpu", "threads=1",
         "model.name=dcnv2", "model.width=8", "model.hidden=[16, 8]", "train.loss=bce", "train.mode=exact",
         "train.optimizer=adam", "train.lr=0.01", "train.l2=1e-4", "train.batch_size=64",
         "train.chunk_rows=256", "train.epochs=2", "eval.protocol=ctr", "llm.pair_rate=0.25"});
    return recipe_of(overrides);
  }

  TemporaryFolder folder_;
};

class EveryBackbone : public DeepTraining, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(DeepTraining, EveryBackbone, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const BackboneInfo& backbone : backbones()) names.emplace_back(backbone.name);
                           return names;
                         }()),
                         [](const auto& each) { return each.param; });

TEST_P(EveryBackbone, LearnsBeyondChanceAndStoresWhatItEvaluated) {
  const nlohmann::json summary =
      train(config({"model.name=" + GetParam(), "method=agreement", "train.epochs=4"}), false);
  EXPECT_GT(summary["test"]["auc"]["all"].get<double>(), 0.6);
  EXPECT_EQ(summary["test"]["protocol"], "ctr");
  EXPECT_GT(summary["guidance"]["pairs"].get<double>(), 0);
  EXPECT_EQ(evaluate_run({folder_ / "run", Target::test, "cpu", ""}), summary["test"]);
}

/// Its tensors are all that it needs of a checkpoint, and all that it keeps in memory.
TEST_P(EveryBackbone, EvaluationHoldsTheModelAlone) {
  for (const char* protocol : {"ctr", "full"}) {
    RunFolder::remove(folder_ / "run");
    const Config run = config({"model.name=" + GetParam(), "method=agreement", "train.epochs=1",
                               std::string("eval.protocol=") + protocol});
    const nlohmann::json summary = train(run, false);
    const std::string path = folder_ / "run/model.safetensors";
    std::vector<std::string> own;
    for (const StoredTensor& tensor : read_safetensors(path).tensors) {
      if (tensor.name.starts_with("adam.") || tensor.name.starts_with("gate.")) continue;
      own.push_back(tensor.name);
    }
    keep_tensors(path, own);
    EXPECT_EQ(evaluate_run({folder_ / "run", Target::test, "cpu", ""}), summary["test"]) << protocol;

    const World world = load_world(run);
    const Context context(Device::cpu, 1);
    const auto bytes_of = [before = device_bytes(Device::cpu)] { return device_bytes(Device::cpu) - before; };
    std::size_t alone = 0;
    {
      const FeatureStore features(context, feature_source(*world.data), run.data.max_history);
      const auto backbone = make_backbone(context, run, features, world.split, nullptr);
      alone = bytes_of();
    }
    const auto model = load_model(context, run, world.split, nullptr, read_safetensors(path));
    EXPECT_EQ(bytes_of(), alone);
  }
}

TEST_P(EveryBackbone, ContinuesBitForBitInTheMiddleOfAnEpoch) {
  const Config run = config({"model.name=" + GetParam(), "method=agreement"});
  Bench straight(run);
  straight.train();
  const std::string whole = straight.checkpoint(folder_ / "a");
  // Stopped at the end of a chunk, and within one, more than once.
  for (const std::int64_t step : {512, 200}) {
    auto trained = std::make_unique<Bench>(run);
    for (std::int64_t stop = step; stop < 3 * step; stop += step) {
      ASSERT_FALSE(trained->trainer().train_epoch([&](std::int64_t row) { return row >= stop; }).has_value());
      EXPECT_GE(trained->trainer().row(), stop);
      trained->checkpoint(folder_ / "middle");
      trained = std::make_unique<Bench>(run);
      trained->trainer().resume(read_safetensors(folder_ / "middle"));
    }
    trained->train();
    EXPECT_EQ(trained->checkpoint(folder_ / "b"), whole) << step;
  }
}

// No buffer is larger than an epoch, and a batch of one epoch is what a larger one is.
TEST_P(EveryBackbone, ABatchLargerThanTheDataIsTheWholeEpoch) {
  const std::string name = "model.name=" + GetParam();
  Bench all(config({name, "train.batch_size=16777216", "train.chunk_rows=1099511627776"}));
  const std::string rows = std::to_string(all.trainer().rows_per_epoch());
  Bench exact(config({name, "train.batch_size=" + rows, "train.chunk_rows=" + rows}));
  EXPECT_LT(device_bytes(Device::cpu), std::size_t{1} << 30);
  all.train();
  exact.train();
  EXPECT_EQ(all.checkpoint(folder_ / "a"), exact.checkpoint(folder_ / "b"));
}

TEST_P(EveryBackbone, RanksTheWholeCatalogue) {
  const nlohmann::json summary = train(config({"model.name=" + GetParam(), "method=none",
                                               "eval.protocol=full", "eval.max_users=20", "train.epochs=3"}),
                                       false);
  EXPECT_EQ(summary["test"]["n"]["all"], 20);
  EXPECT_GT(summary["test"]["auc"]["all"].get<double>(), 0.5);
}

/// One epoch on `data` under the protocol that knows no held-out items; the bytes of the checkpoint.
std::string train_blind(const Config& config, const Dataset& data, const std::string& path) {
  Context context(Device::cpu, 1);
  const Split split = leave_one_out(data);
  const auto trainer = make_trainer(context, config, split, {});
  trainer->train_epoch([](std::int64_t) { return false; });
  trainer->save(path, {});
  return read_all(path);
}

TEST_P(EveryBackbone, LearnsNothingOfTheHeldOutItems) {
  const std::string power = GetParam() == "deepfm" ? "train.negative_power=0.5" : "train.negative_power=0";
  const Config run = config({"model.name=" + GetParam(), "method=none", "eval.protocol=full", power});
  const Dataset data = synthetic_dataset(small_world(300, 200));
  Dataset others = data, earlier = data;
  for (Id user = 1; user < data.users.rows(); ++user) {
    const std::int64_t end = data.history_offsets[static_cast<std::size_t>(user) + 1];
    if (data.user_history(user).size() < 4) continue;
    for (const std::int64_t back : {1, 2}) {
      Id& item = others.history[static_cast<std::size_t>(end - back)];
      item = 1 + item % data.items.count();
    }
    Id& trained = earlier.history[static_cast<std::size_t>(end - 3)];
    trained = 1 + trained % data.items.count();
  }
  const std::string bytes = train_blind(run, data, folder_ / "a");
  EXPECT_EQ(train_blind(run, others, folder_ / "b"), bytes);
  EXPECT_NE(train_blind(run, earlier, folder_ / "c"), bytes) << "the test says nothing";
}

TEST_F(DeepTraining, LightGcnRanksTheSameOnAnyNumberOfThreadsAndAfterALoad) {
  const Config run = config({"model.name=lightgcn", "method=none", "train.loss=bpr", "eval.protocol=full"});
  Bench one(run, 1), two(run, 2), loaded(run, 2);
  one.train();
  two.train();
  const nlohmann::json before = to_json(loaded.test()), after = to_json(two.test());
  EXPECT_EQ(to_json(one.test()), after);
  EXPECT_EQ(to_json(two.test()), after);
  EXPECT_NE(before, after);
  two.checkpoint(folder_ / "trained");
  loaded.trainer().load(read_safetensors(folder_ / "trained"));
  EXPECT_EQ(to_json(loaded.test()), after) << "the scores of before the load";
}

TEST_P(EveryBackbone, AlignmentMovesTheGate) {
  const Config run =
      config({"model.name=" + GetParam(), "method=alignment", "train.epochs=1", "gate.lr=0.1"});
  if (GetParam() == "lightgcn") {
    EXPECT_THAT(error_of([&] { const Bench refused(run); }), HasSubstr("no table of users"));
    return;
  }
  Bench aligned(run);
  const std::vector<float> before = aligned.gate_parameters();
  const EpochReport report = aligned.train();
  EXPECT_GT(told(report, "pairs"), 0);
  EXPECT_NE(aligned.gate_parameters(), before);
  for (const float x : aligned.gate_parameters()) EXPECT_TRUE(std::isfinite(x));
}

TEST_P(EveryBackbone, ProbesTeachTheGateAlone) {
  // A gate that all but stands still, with and without probes: the same model, bit for bit.
  const auto overrides = [](const char* probe_rate, const char* gate_lr) -> std::vector<std::string> {
    return {"model.name=" + GetParam(), "method=agreement", "train.epochs=1",
            std::string("gate.probe_rate=") + probe_rate, std::string("gate.lr=") + gate_lr};
  };
  Bench without(config(overrides("0", "1e-30"))), with(config(overrides("1", "1e-30"))),
      learns(config(overrides("1", "0.1")));
  EXPECT_EQ(told(without.train(), "probes"), 0);
  EXPECT_GT(told(with.train(), "probes"), 100);
  learns.train();
  const std::vector<CtrRow> rows{{1, 2, 1, 1}, {5, 9, 2, 0}, {7, 3, 1, 1}};
  EXPECT_EQ(with.trainer().ctr_logits(rows), without.trainer().ctr_logits(rows));
  EXPECT_NE(learns.gate_parameters(), with.gate_parameters());
  EXPECT_NE(learns.trainer().ctr_logits(rows), with.trainer().ctr_logits(rows)) << "the test says nothing";
}

/// A whole epoch: pairs' rows and their twins, probes, gate. Rounding differs between the devices and grows
/// from step to step; on the CPU a learning rate off by 1e-6 moves the logits by 5e-5 of their size at most.
TEST_P(EveryBackbone, TrainsOnCudaAsOnTheCpu) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const auto run = [this](const char* graph) {
    return config({"model.name=" + GetParam(), "method=agreement", "train.epochs=1", "gate.probe_rate=0.5",
                   "gate.lr=0.1", std::string("train.cuda_graph=") + graph});
  };
  std::vector<CtrRow> rows;
  for (Id user = 1; user < 200; ++user) rows.push_back({user, 1 + user % 150, 1, 1});
  Bench cpu(run("false"));
  const EpochReport expected = cpu.train();
  const std::vector<float> logits = cpu.trainer().ctr_logits(rows);
  for (const char* graph : {"false", "true"}) {
    SCOPED_TRACE(std::string("train.cuda_graph=") + graph);
    Bench cuda(run(graph), 1, Device::cuda);
    const EpochReport report = cuda.train();
    EXPECT_EQ(told(report, "pairs"), told(expected, "pairs"));
    EXPECT_EQ(told(report, "probes"), told(expected, "probes"));
    EXPECT_NEAR(told(report, "mean_alpha"), told(expected, "mean_alpha"), 1e-3);
    EXPECT_NEAR(report.loss, expected.loss, 1e-3 * expected.loss);
    EXPECT_LT(norm_error(cuda.trainer().ctr_logits(rows), logits), 0.01);
  }
}

TEST_F(DeepTraining, ShutGateLeavesTheBackboneAsItWouldBeAlone) {
  // All pairs are kept out of the batches, which then are those of method=none.
  Bench none(config({"method=none"})), never(config({"method=never"}));
  none.train();
  const EpochReport report = never.train();
  EXPECT_EQ(never.trainer().ctr_logits(std::vector<CtrRow>{{1, 2, 1, 1}, {5, 9, 2, 0}}),
            none.trainer().ctr_logits(std::vector<CtrRow>{{1, 2, 1, 1}, {5, 9, 2, 0}}));
  EXPECT_GT(told(report, "pairs"), 0);
  EXPECT_EQ(told(report, "mean_alpha"), 0.0);
  EXPECT_GT(report.guidance["buckets"]["warm_head"]["count"].get<double>() +
                report.guidance["buckets"]["cold_head"]["count"].get<double>(),
            0);
}

TEST_F(DeepTraining, AnOpenGateChangesTheBackbone) {
  Bench none(config({"method=none"})), global(config({"method=global"}));
  none.train();
  EXPECT_EQ(told(global.train(), "mean_alpha"), 1.0);
  EXPECT_NE(global.trainer().ctr_logits(std::vector<CtrRow>{{1, 2, 1, 1}}),
            none.trainer().ctr_logits(std::vector<CtrRow>{{1, 2, 1, 1}}));
}

TEST_F(DeepTraining, DoesNotDependOnTheThreads) {
  const Config run = config({"method=agreement", "train.epochs=1"});
  Bench one(run, 1);
  const double alpha = told(one.train(), "mean_alpha");
  const std::string checkpoint = one.checkpoint(folder_ / "a");
  for (const int threads : {2, 3}) {  // with three the batches are assembled ahead
    Bench more(run, threads);
    EXPECT_EQ(told(more.train(), "mean_alpha"), alpha);
    EXPECT_EQ(more.checkpoint(folder_ / "b"), checkpoint) << threads << " threads";
  }
}

TEST_F(DeepTraining, ThePapersGateCloses) {
  Bench hinge(config({"method=hinge", "train.epochs=8", "gate.lr=0.3"}));
  EXPECT_LT(told(hinge.train(), "mean_alpha"), 0.2);
}

TEST_F(DeepTraining, BprAndFreshNegatives) {
  const nlohmann::json summary =
      train(config({"method=agreement", "train.loss=bpr", "eval.protocol=full", "train.epochs=3"}), false);
  EXPECT_GT(summary["test"]["auc"]["all"].get<double>(), 0.5);
  Bench fixed(config({"method=none", "train.epochs=1"})),
      fresh(config({"method=none", "train.epochs=1", "eval.protocol=full"})),
      popular(config({"method=none", "train.epochs=1", "eval.protocol=full", "train.negative_power=1"}));
  const double loss = fresh.train().loss;
  EXPECT_NE(fixed.train().loss, loss);
  EXPECT_GT(popular.train().loss, loss) << "popular negatives are harder to tell from what is taken";
}

/// Beside what was taken the data tell what was shown: each epoch draws from that.
TEST_F(DeepTraining, FreshNegativesAreWhatWasShown) {
  Dataset data = synthetic_dataset(small_world(60, 200));
  data.negatives = {48, 49, 50};
  data.negative_offsets = {0, 0, 3};
  for (std::size_t entry = 0; entry < data.history.size(); ++entry)
    data.negative_group.push_back(entry % 2 == 0 ? 1 : 0);
  const Split split = leave_one_out(data);
  const Config settings = config({"method=none", "eval.protocol=full"});
  std::vector<CtrRow> rows = ctr_train_rows(split, 1);
  const FreshNegatives negatives(settings, split);
  std::set<Id> drawn;
  int changed = 0;
  for (std::uint32_t epoch = 0; epoch < 3; ++epoch) {
    const std::vector<CtrRow> before = rows;
    negatives.draw(epoch, rows);
    for (std::size_t k = 1; k < rows.size(); k += 2) {
      const auto shown = data.negatives_at(rows[k].user, rows[k].position);
      if (shown.empty()) continue;
      EXPECT_THAT(shown, testing::Contains(rows[k].item));
      drawn.insert(rows[k].item);
      changed += rows[k].item != before[k].item ? 1 : 0;
    }
  }
  EXPECT_EQ(drawn, (std::set<Id>{48, 49, 50}));
  EXPECT_GT(changed, 0);
}

/// Without ids two users with the same history are the same, and there is no table of users.
TEST_F(DeepTraining, UsersMayBeKnownByTheirHistoriesAlone) {
  for (const char* name : {"deepfm", "xdeepfm", "dcnv1", "dcnv2", "autoint", "din"}) {
    SCOPED_TRACE(name);
    Bench by_id(config({"method=none", std::string("model.name=") + name})),
        by_history(config({"method=none", std::string("model.name=") + name, "model.user_id=false"}));
    EXPECT_LT(by_history.trainer().parameters(), by_id.trainer().parameters() - 300 * 8 + 16);
    by_history.train();
    const std::vector<CtrRow> rows = {{1, 5, 0, 1}, {2, 5, 0, 1}, {1, 6, 0, 1}};
    const std::vector<float> logits = by_history.trainer().ctr_logits(rows),
                             others = by_id.trainer().ctr_logits(rows);
    EXPECT_NEAR(logits[0], logits[1], 1e-6);
    EXPECT_GT(std::fabs(logits[0] - logits[2]), 1e-5);
    EXPECT_GT(std::fabs(others[0] - others[1]), 1e-5);
  }
  EXPECT_THAT(error_of([&] {
                Bench(config({"method=none", "model.name=lightgcn", "model.user_id=false"}));
              }),
              HasSubstr("made of ids alone"));
  EXPECT_THAT(error_of([&] {
                Bench(config({"method=alignment", "model.user_id=false"}));
              }),
              HasSubstr("model.user_id=false there is none"));
  for (const char* name : {"mf", "lightgcn"}) {
    EXPECT_THAT(error_of([&] {
                  Bench(config({"method=none", std::string("model.name=") + name, "train.embedding_l2=0.1"}));
                }),
                HasSubstr("made of embeddings alone; see train.l2"));
  }
}

TEST_F(DeepTraining, EmbeddingsStartWhereTheyAreTold) {
  for (const char* name : {"deepfm", "xdeepfm", "dcnv1", "dcnv2", "autoint", "din"}) {
    SCOPED_TRACE(name);
    Bench bench(config({"method=none", std::string("model.name=") + name, "model.embedding_std=0.003"}));
    auto& trainer = dynamic_cast<DeepTrainer&>(bench.trainer());
    const auto* items = trainer.backbone().embeddings().front()->table(Vocabulary::item);
    const std::vector<float> weights = items->weights.to_host(Context(Device::cpu, 1));
    double squares = 0;
    for (const float weight : weights) squares += double{weight} * weight;
    EXPECT_NEAR(std::sqrt(squares / static_cast<double>(weights.size())), 0.003, 0.0003);
  }
  EXPECT_THAT(error_of([&] {
                Bench(config({"method=none", "model.name=lightgcn", "model.embedding_std=1"}));
              }),
              HasSubstr("no other fields than ids"));
}

TEST_F(DeepTraining, OptionsThatDoNotApplyAreErrors) {
  const auto error = [this](std::vector<std::string> overrides) {
    return error_of([&] { Bench(config(std::move(overrides))); });
  };
  EXPECT_THAT(error({"model.name=dcn2"}), HasSubstr("did you mean 'dcnv2'"));
  EXPECT_THAT(error({"train.mode=fused"}), HasSubstr("train.mode=exact"));
  for (const OptimizerInfo& optimizer : kOptimizers) {
    if (optimizer.deep) continue;
    EXPECT_THAT(error({"train.optimizer=" + std::string(optimizer.name)}),
                HasSubstr("use train.mode=exact and train.optimizer=lazy_adam or adam"));
  }
  EXPECT_THAT(error({"model.name=lightgcn", "train.optimizer=lazy_adam"}), HasSubstr("no row can be lazy"));
  EXPECT_THAT(error({"model.init_std=0.1"}), HasSubstr("model.init_std"));
  EXPECT_THAT(error({"model.item_bias=true"}), HasSubstr("has no item biases"));
  EXPECT_THAT(error({"train.negative_power=0.5"}), HasSubstr("draws the negatives of training once"));
  EXPECT_THAT(error({"train.cuda_graph=true"}), HasSubstr("needs device=cuda"));
  EXPECT_THAT(error({"model.name=din", "model.cross=full"}),
              HasSubstr("'model.cross' (recipe) does not apply"));
  EXPECT_THAT(error({"model.frozen_bias=true"}), HasSubstr("model.frozen_bias"));
  EXPECT_EQ(error({"model.cross=full"}), "no error");
  EXPECT_THAT(error({"train.loss=bpr", "train.batch_size=63"}), HasSubstr("even"));
  EXPECT_THAT(error({"model.hidden=[16, 0]"}), HasSubstr("model.hidden"));
  EXPECT_THAT(error_of([&] { train(config({"eval.topk=[5]"}), false); }), HasSubstr("eval.topk"));
}

TEST_F(DeepTraining, DataWithoutAttributesAreAnErrorUnlessAllowed) {
  Dataset bare = synthetic_dataset(small_world(300, 200));
  bare.attribute_offsets.assign(bare.attribute_offsets.size(), 0);
  bare.item_attributes.clear();
  std::filesystem::create_directory(folder_ / "bare");
  save_recbole(bare, folder_ / "bare");
  const std::string path = "data.path=" + (folder_ / "bare/synthetic");
  EXPECT_THAT(error_of([&] {
                Bench(config({"method=none", path}));
              }),
              HasSubstr("data.allow_missing_attributes=true"));
  Bench allowed(config({"method=none", path, "data.allow_missing_attributes=true", "train.epochs=1"}));
  EXPECT_GT(allowed.train().loss, 0);
  for (const char* reads_none : {"model.name=mf", "model.name=lightgcn"}) {
    Bench bare_model(config({"method=none", path, reads_none, "train.epochs=1"}));
    EXPECT_GT(bare_model.train().loss, 0) << reads_none;
  }
}

TEST_F(DeepTraining, ACheckpointOfAnotherBackboneOrVocabularyIsRefused) {
  Bench dcn(config({"method=none", "train.epochs=1"}));
  dcn.checkpoint(folder_ / "dcnv2");
  const SafetensorsFile checkpoint = read_safetensors(folder_ / "dcnv2");
  EXPECT_THAT(error_of([&] {
                Bench(config({"method=none", "model.name=din"})).trainer().load(checkpoint);
              }),
              HasSubstr("dcnv2"));
  std::filesystem::create_directory(folder_ / "larger");
  save_recbole(synthetic_dataset(small_world(310, 200)), folder_ / "larger");
  EXPECT_THAT(error_of([&] {
                Bench(config({"method=none", "data.path=" + (folder_ / "larger/synthetic")}))
                    .trainer()
                    .load(checkpoint);
              }),
              HasSubstr("embedding.user"));
}

}  // namespace
}  // namespace sllmr
