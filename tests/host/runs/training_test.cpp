// Whole runs on a small made-up world: what they write, how they resume, and what the gate learns.
#include "host/runs/training.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "host/base/listener.h"
#include "host/data/import.h"
#include "host/data/synthetic.h"
#include "host/runs/run_folder.h"
#include "kernels/exec/interrupt.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"

namespace sllmr {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Training : public testing::Test {
 protected:
  void SetUp() override { save_recbole(synthetic_dataset(small_world(600, 400)), folder_.path()); }

  Config config(std::vector<std::string> overrides) const {
    overrides.insert(overrides.begin(),
                     {"data.path=" + (folder_ / "synthetic"), "run_dir=" + (folder_ / "run"), "device=cpu",
                      "threads=1", "model.width=32", "train.epochs=3"});
    return load_config("", overrides);
  }
  Config exact_config(std::vector<std::string> overrides = {}) const {
    overrides.insert(overrides.begin(), {"train.mode=exact", "train.batch_size=64",
                                         "train.optimizer=lazy_adam", "train.lr=0.01", "train.l2=1e-4"});
    return config(std::move(overrides));
  }

  TemporaryFolder folder_;
};

TEST_F(Training, RunsOfOneProcessHaveAPeakEach) {
  const auto peak = [&](const char* name, const char* width) {
    const nlohmann::json summary =
        train(config({std::string("run_dir=") + (folder_ / name), width, "train.epochs=1"}), false);
    return summary["memory"]["peak_device_bytes"].get<std::int64_t>();
  };
  const std::int64_t small = peak("small", "model.width=32"), large = peak("large", "model.width=256");
  EXPECT_GT(large, 2 * small);
  EXPECT_EQ(peak("again", "model.width=32"), small);
}

TEST_F(Training, WritesARunFolderWithASummary) {
  const nlohmann::json summary = train(config({"method=agreement"}), false);
  const nlohmann::json stored = nlohmann::json::parse(read_all(folder_ / "run/summary.json"));
  EXPECT_EQ(stored, summary);
  for (const char* slice : {"all", "cold", "tail"}) {
    EXPECT_GT(stored["test"]["auc"][slice].get<double>(), 0.0) << slice;
    EXPECT_LT(stored["test"]["auc"][slice].get<double>(), 1.0) << slice;
  }
  EXPECT_GT(stored["guidance"]["mean_alpha"].get<double>(), 0.0);
  EXPECT_EQ(stored["guidance"]["rule"], "learned");
  EXPECT_EQ(stored["data_hash"].get<std::string>().size(), 16U);
  for (const char* file : {"config.toml", "metrics.jsonl", "guidance.jsonl", "model.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(folder_ / ("run/" + std::string(file)))) << file;
  }
  const std::string gate = read_all(folder_ / "run/guidance.jsonl");
  EXPECT_EQ(std::count(gate.begin(), gate.end(), '\n'), 3);
  EXPECT_THAT(gate, HasSubstr("cold_tail"));
}

TEST_F(Training, LearnsMoreThanChance) {
  Bench bench(config({"method=none", "train.epochs=30"}));
  bench.train();
  EXPECT_GT(*bench.test().figures.of("auc"), 0.6);
}

TEST_F(Training, EveryMethodTrainsInBothModes) {
  std::vector<std::string> methods;
  for (const GuidanceInfo& info : guidance_methods()) {
    if (info.trains_mf) methods.insert(methods.end(), info.words.begin(), info.words.end());
  }
  for (const std::string& method : methods) {
    const EpochReport fused = Bench(config({"method=" + method, "train.epochs=1"})).train();
    const EpochReport exact = Bench(exact_config({"method=" + method, "train.epochs=1"})).train();
    EXPECT_EQ(told(fused, "pairs") > 0, method != "none") << method;
    EXPECT_EQ(told(fused, "pairs"), told(exact, "pairs")) << method;
    if (method == "global") {
      EXPECT_EQ(told(exact, "mean_alpha"), 1.0);
    }
    if (method == "never" || method == "none") {
      EXPECT_EQ(told(exact, "mean_alpha"), 0.0);
    }
  }
}

TEST_F(Training, NeverIsNone) {
  Bench never(exact_config({"method=never"})), none(exact_config({"method=none"}));
  never.train();
  none.train();
  EXPECT_EQ(never.trainer().named_buffers()[0].name, "users.weights");
  EXPECT_EQ(*never.test().figures.of("auc"), *none.test().figures.of("auc"));
}

TEST_F(Training, TheHingeObjectiveClosesTheGate) {
  const EpochReport report =
      Bench(config({"method=hinge", "train.epochs=30", "train.chunk_rows=512"})).train();
  EXPECT_LT(told(report, "mean_alpha"), 0.05);
}

TEST_F(Training, AgreementOpensForAGoodScorerAndClosesForNoise) {
  const auto trained = [this](const char* noise) {
    return Bench(config({"method=agreement", "train.epochs=20", "train.chunk_rows=512", noise})).train();
  };
  const EpochReport good = trained("llm.noise=0"), noise = trained("llm.noise=1");
  EXPECT_GT(told(good, "agreement"), 0.3);
  EXPECT_GT(told(good, "mean_alpha"), 0.9);
  EXPECT_LT(told(noise, "mean_alpha"), 0.1);
}

TEST_F(Training, ExactModeDoesNotDependOnThreads) {
  Bench one(exact_config(), 1), two(exact_config(), 2);
  one.train();
  two.train();
  EXPECT_EQ(one.checkpoint(folder_ / "a"), two.checkpoint(folder_ / "b"));
}

// No buffer is larger than an epoch, and what is asked for beyond it is the whole of it.
TEST_F(Training, BatchesAndChunksLargerThanTheDataAreTheWholeEpoch) {
  const auto trained = [this](const Config& settings) {
    Bench bench(settings);
    EXPECT_LT(device_bytes(Device::cpu), std::size_t{1} << 30);
    bench.train();
    return std::pair(bench.trainer().rows_per_epoch(), bench.checkpoint(folder_ / "model"));
  };
  const auto [rows, batch] = trained(exact_config({"train.batch_size=16777216"}));
  EXPECT_EQ(trained(exact_config({"train.batch_size=" + std::to_string(rows)})).second, batch);
  const std::string chunk = trained(config({"train.chunk_rows=1099511627776"})).second;
  EXPECT_EQ(trained(config({"train.chunk_rows=" + std::to_string(rows)})).second, chunk);
}

TEST_F(Training, ExactModeResumesBitIdenticallyInTheMiddleOfAnEpoch) {
  // Batches are sampled in chunks of 16,384 rows, so the world must be larger than that.
  SyntheticOptions large = small_world(600, 400);
  large.users = 4000;
  save_recbole(synthetic_dataset(large), folder_.path());
  for (const OptimizerInfo& optimizer : kOptimizers) {
    const Config settings = exact_config(
        {"train.epochs=2", "train.optimizer=" + std::string(optimizer.name), "train.batch_size=512"});
    Bench whole(settings);
    whole.train();

    Bench first(settings);
    ASSERT_FALSE(first.trainer().train_epoch([](std::int64_t) { return true; }).has_value());
    ASSERT_GT(first.trainer().row(), 0);
    first.checkpoint(folder_ / "half");
    Bench second(settings);
    second.trainer().resume(read_safetensors(folder_ / "half"));
    second.train();
    EXPECT_EQ(second.checkpoint(folder_ / "b"), whole.checkpoint(folder_ / "a")) << optimizer.name;
  }
}

TEST_F(Training, ResumingWithAnotherConfigurationIsRefused) {
  train(config({"seed=1"}), false);
  EXPECT_THAT(
      error_of([&] { train(config({"seed=2"}), true); }),
      testing::AllOf(HasSubstr("cannot resume with another configuration"), HasSubstr("seed was 1, is 2")));
  EXPECT_THAT(error_of([&] { train(config({"llm.lambda=0.1"}), true); }), HasSubstr("lambda"));
}

/// A key that came after the run was stored has its default in it.
TEST_F(Training, AStoredConfigurationWithoutALaterKeyIsTheSame) {
  const Config run = config({"seed=1"});
  std::string stored = to_toml(run);
  const std::size_t line = stored.find("cuda_graph");
  ASSERT_NE(line, std::string::npos);
  stored.erase(line, stored.find('\n', line) - line + 1);
  EXPECT_EQ(first_difference(parse_config(stored, "stored"), run), "");
  EXPECT_EQ(first_difference(parse_config(stored, "stored"), config({"seed=1", "train.cuda_graph=true"})),
            "train.cuda_graph was false, is true");
  constexpr std::string_view kIgnored[] = {"seed"};
  EXPECT_EQ(first_difference(config({"seed=2"}), run), "seed was 2, is 1");
  EXPECT_EQ(first_difference(config({"seed=2"}), run, kIgnored), "");
}

/// A run that was killed between writing its best model and its checkpoint, and did not reach it again.
TEST_F(Training, TheBestModelIsReportedWithItsOwnFigures) {
  const std::vector<std::string> overrides = {"train.epochs=6", "train.eval_every=1", "train.patience=0",
                                              "train.lr=0.3"};
  nlohmann::json summary = train(config(overrides), false);
  const SafetensorsFile best = read_safetensors(folder_ / "run/best.safetensors");
  std::map<std::string, std::string> metadata = best.metadata;
  metadata["best"] = "0.875";
  metadata["best_epoch"] = "3";
  std::vector<TensorView> tensors;
  for (const StoredTensor& tensor : best.tensors) {
    tensors.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  }
  write_safetensors(folder_ / "run/best.safetensors", tensors, metadata);
  std::filesystem::remove(folder_ / "run/summary.json");
  summary = train(config(overrides), true);
  EXPECT_EQ(summary["validation"]["best"], 0.875);
  EXPECT_EQ(summary["validation"]["best_epoch"], 3);
}

TEST_F(Training, AFinishedRunKeepsItsSummary) {
  const nlohmann::json summary = train(config({"train.epochs=2"}), false);
  EXPECT_EQ(train(config({"train.epochs=2"}), true), summary);
}

TEST_F(Training, HowOftenCheckpointsAreWrittenMayChange) {
  const nlohmann::json summary = train(config({"train.epochs=2", "train.checkpoint_every=1"}), false);
  EXPECT_EQ(train(config({"train.epochs=2"}), true), summary);
  std::filesystem::remove(folder_ / "run/summary.json");
  EXPECT_EQ(train(config({"train.epochs=2", "train.checkpoint_every=2"}), true)["test"], summary["test"]);
}

TEST_F(Training, ResumingOnOtherDataIsRefused) {
  train(config({}), false);
  SyntheticOptions other = small_world(600, 400);
  other.seed = 2;
  save_recbole(synthetic_dataset(other), folder_.path());
  EXPECT_THAT(error_of([&] { train(config({}), true); }), HasSubstr("are not those of the checkpoint"));
}

/// Attributes are read by deep backbones and by lexical scores, and by nothing else.
TEST_F(Training, ChangedItemsAreRefusedWhereTheyAreRead) {
  const std::vector<std::string> deep = {"method=none",         "model.name=dcnv2",     "train.mode=exact",
                                         "train.loss=bce",      "train.optimizer=adam", "train.lr=0.01",
                                         "train.batch_size=64", "train.epochs=1",       "model.hidden=[8]"};
  const auto config_at = [this](std::vector<std::string> overrides, const char* name) {
    overrides.push_back("run_dir=" + (folder_ / name));
    return config(std::move(overrides));
  };
  train(config_at(deep, "deep"), false);
  train(config_at({"method=none"}, "mf"), false);
  train(config_at({"method=global"}, "lexical"), false);
  Dataset data = load_dataset(folder_ / "synthetic");
  std::reverse(data.item_attributes.begin(), data.item_attributes.end());
  save_recbole(data, folder_.path());

  for (const bool resume : {false, true}) {
    EXPECT_THAT(error_of([&] {
                  if (resume) {
                    train(config_at(deep, "deep"), true);
                  } else {
                    evaluate_run({folder_ / "deep", Target::test, "cpu", ""});
                  }
                }),
                HasSubstr("brands and categories"));
  }
  EXPECT_NO_THROW(train(config_at({"method=none"}, "mf"), true));
  EXPECT_NO_THROW(evaluate_run({folder_ / "mf", Target::test, "cpu", ""}));
  EXPECT_THAT(error_of([&] { train(config_at({"method=global"}, "lexical"), true); }), HasSubstr("texts"));
  EXPECT_NO_THROW(evaluate_run({folder_ / "lexical", Target::test, "cpu", ""})) << "its scores are learnt";
}

TEST_F(Training, ACheckpointOfAProgramThatCountedOtherwiseIsNotResumed) {
  train(config({"method=none"}), false);
  const std::string path = folder_ / "run/model.safetensors";
  const SafetensorsFile stored = read_safetensors(path);
  const auto store = [&](const std::map<std::string, std::string>& metadata) {
    std::vector<TensorView> tensors;
    for (const StoredTensor& tensor : stored.tensors) {
      tensors.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    }
    write_safetensors(path, tensors, metadata);
    return error_of([&] { train(config({"method=none"}), true); });
  };
  std::map<std::string, std::string> metadata = stored.metadata;
  metadata["numbers_version"] = "0";
  EXPECT_THAT(store(metadata), HasSubstr("numbers_version 0 then"));
  metadata.erase("numbers_version");
  EXPECT_THAT(store(metadata), HasSubstr("kept no numbers_version"));
  EXPECT_NO_THROW(evaluate_run({folder_ / "run", Target::test, "cpu", ""}));
}

TEST_F(Training, ATableOfHeldOutItemsStopsTheRun) {
  const World world = load_world(config({}));
  std::vector<LlmScore> scores;
  for (Id user = 1; user < world.data->users.rows(); ++user) {
    if (world.split.test[user] == 0) continue;
    scores.push_back({user, world.split.test[user], 1.0F});
    scores.push_back({user, world.split.train_items(user).back(), 0.5F, true});
  }
  write_scores(folder_ / "leak.tsv", make_score_table(*world.data, scores, "x"), *world.data, false);
  const auto with = [this](std::vector<std::string> more = {}) {
    more.insert(more.end(), {"method=global", "llm.scorer=file", "llm.scores=" + (folder_ / "leak.tsv")});
    return config(more);
  };
  EXPECT_THAT(
      error_of([&] { train(with(), false); }),
      testing::AllOf(HasSubstr("leak.tsv: leak: "), HasSubstr("600 of the users' validation and test items"),
                     HasSubstr("llm.allow_leak=true")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
  testing::internal::CaptureStderr();
  const nlohmann::json summary = train(with({"llm.allow_leak=true", "train.epochs=1"}), false);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("warning: " + (folder_ / "leak.tsv") + ": leak"));
  EXPECT_EQ(summary["llm"]["leakage"]["held_out_candidates"], 600);
  EXPECT_TRUE(summary["llm"]["leakage"]["allowed"].get<bool>());
}

TEST_F(Training, ATableThatAvoidsHeldOutItemsIsWarnedOf) {
  const World world = load_world(config({}));
  const ScoreTable clean = load_scores(config({}), world.split).table;
  std::vector<LlmScore> scores;
  for (Id user = 1; user < world.data->users.rows(); ++user) {
    const auto items = clean.items_of(user);
    for (std::size_t k = 0; k < items.size(); ++k) {
      if (items[k] == world.split.test[user] || items[k] == world.split.validation[user]) continue;
      scores.push_back({user, items[k], clean.scores_of(user)[k], static_cast<int>(k) == clean.probe[user]});
    }
  }
  const auto warning = [&](const ScoreTable& table) {
    write_scores(folder_ / "t.tsv", table, *world.data, false);
    testing::internal::CaptureStderr();
    load_scores(config({"llm.scorer=file", "llm.scores=" + (folder_ / "t.tsv")}), world.split);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warning(clean), IsEmpty());
  EXPECT_THAT(warning(make_score_table(*world.data, scores, "x")), HasSubstr("0 of the users' validation"));
}

/// Nobody has three interactions: known before anything is trained.
TEST_F(Training, NothingToRankIsSaidBeforeTraining) {
  Dataset data = load_dataset(folder_ / "synthetic");
  data.history.clear();
  for (Id user = 1; user < data.users.rows(); ++user) {
    data.history.insert(data.history.end(), {1 + user % 50, 51 + user % 50});
    data.history_offsets[static_cast<std::size_t>(user) + 1] = data.interactions();
  }
  data.name = "two";
  save_recbole(data, folder_.path());
  for (const char* protocol : {"full", "ctr"}) {
    EXPECT_THAT(error_of([&] {
                  train(config({"method=none", "data.path=" + (folder_ / "two"),
                                std::string("eval.protocol=") + protocol}),
                        false);
                }),
                HasSubstr("users need at least 3 interactions"))
        << protocol;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
  }
}

TEST_F(Training, EveryFinishedRunCanBeEvaluated) {
  const nlohmann::json none = train(config({"train.epochs=0"}), false);
  EXPECT_EQ(evaluate_run({folder_ / "run", Target::test, "cpu", ""}), none["test"]);
  EXPECT_EQ(train(config({"train.epochs=0"}), true), none);
}

/// As a run that was trained on a GPU says.
TEST_F(Training, EvaluationLeavesOutWhatOnlyTrainingOnAGpuKnows) {
  const nlohmann::json summary = train(
      exact_config({"method=none", "model.name=lightgcn", "train.optimizer=adam", "train.epochs=1"}), false);
  const std::string path = folder_ / "run/config.toml";
  std::string text = read_all(path);
  const std::string off = "cuda_graph = false";
  ASSERT_NE(text.find(off), std::string::npos);
  std::ofstream(path) << text.replace(text.find(off), off.size(), "cuda_graph = true");
  EXPECT_EQ(evaluate_run({folder_ / "run", Target::test, "cpu", ""}), summary["test"]);
}

TEST_F(Training, AnItemWithoutTextIsSaidToHaveNone) {
  Dataset data = load_dataset(folder_ / "synthetic");
  data.titles[3].clear();
  std::vector<Id> kept;
  for (Id item = 1; item < data.items.rows(); ++item) {
    if (item != 3) kept.insert(kept.end(), data.attributes_of(item).begin(), data.attributes_of(item).end());
  }
  const std::int64_t own = data.attribute_offsets[4] - data.attribute_offsets[3];
  for (Id item = 4; item <= data.items.rows(); ++item) data.attribute_offsets[item] -= own;
  data.item_attributes = kept;
  save_recbole(data, folder_.path());
  testing::internal::CaptureStderr();
  train(config({"method=global", "train.epochs=1"}), false);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr(": 1 of " + std::to_string(data.items.count()) + " items have no text"));
}

TEST_F(Training, ARunThatCannotStartLeavesNoFolder) {
  EXPECT_NE(error_of([&] { train(config({"train.batch_size=64"}), false); }), "no error");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(Training, ResumingBeforeTheFirstCheckpointIsCheckedToo) {
  train(config({"seed=1"}), false);
  std::filesystem::remove(folder_ / "run/model.safetensors");
  EXPECT_THAT(error_of([&] { train(config({"seed=2"}), true); }), HasSubstr("another configuration"));
  EXPECT_FALSE(train(config({"seed=1"}), true).is_null());
}

TEST_F(Training, AFolderWithARunIsNotOverwritten) {
  train(config({}), false);
  const std::string before = read_all(folder_ / "run/summary.json");
  EXPECT_NE(error_of([&] { train(config({}), false); }), "no error");
  EXPECT_EQ(read_all(folder_ / "run/summary.json"), before);
}

TEST_F(Training, AFullDiskLosesNothing) {
  train(config({"train.epochs=1"}), false);
  const std::string before = read_all(folder_ / "run/model.safetensors");
  std::filesystem::copy_file(folder_ / "run/model.safetensors", folder_ / "old");
  {
    const FileSizeLimit limit(4096);
    Bench bench(config({"train.epochs=1"}));
    bench.train();
    EXPECT_NE(error_of([&] { bench.trainer().save(folder_ / "old", {}); }), "no error");
  }
  EXPECT_EQ(read_all(folder_ / "old"), before);
}

TEST_F(Training, EarlyStoppingKeepsTheBestEpoch) {
  const nlohmann::json summary = train(
      config({"method=none", "train.epochs=200", "train.lr=0.5", "train.eval_every=1", "train.patience=2"}),
      false);
  EXPECT_LT(summary["epochs"].get<int>(), 200);
  const int best = summary["validation"]["best_epoch"];
  EXPECT_EQ(summary["epochs"].get<int>(), best);  // the best checkpoint was loaded for the test
  EXPECT_EQ(summary["validation"]["monitor"], "auc");
  const nlohmann::json again = evaluate_run({folder_ / "run", Target::validation, "cpu", ""});
  EXPECT_EQ(again["auc"]["all"].get<double>(), summary["validation"]["best"].get<double>());
}

/// A safetensors file without its header.
std::string tensors_of(const std::string& file) {
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof(header));
  return file.substr(sizeof(header) + header);
}

/// Stops a run after each of its validations.
class StopsAtValidations final : public Listener {
 public:
  bool takes_progress() const override { return false; }
  void progress(const std::string&, std::int64_t, std::int64_t, const std::string&) override {}
  void event(const nlohmann::json& event) override {
    if (event["event"] == "validation") request_.stop();
  }
  void note(std::string_view) override {}

 private:
  StopByCall request_;
};

/// The rate is cut by every validation without a gain, and a run that goes on knows how often it was.
TEST_F(Training, TheRateDecaysWhereValidationsGainNothing) {
  for (const std::string mode : {"fused", "exact"}) {
    SCOPED_TRACE(mode);
    std::vector<std::string> words = {"method=none",           "train.mode=" + mode, "train.epochs=20",
                                      "train.eval_every=1",    "train.lr=0.5",       "eval.protocol=ctr",
                                      "eval.monitor=log_loss", "train.lr_decay=0.1"};
    if (mode == "exact") {
      words.insert(words.end(), {"train.batch_size=64", "train.optimizer=lazy_adam", "train.lr=0.05"});
    }
    RunFolder::remove(folder_ / "run");
    const nlohmann::json whole = train(config(words), false);
    ASSERT_GT(whole["validation"]["lr_decays"].get<int>(), 0);
    const std::string model = read_all(folder_ / "run/model.safetensors");

    RunFolder::remove(folder_ / "run");
    Config constant = config(words);
    constant.train.lr_decay = 1;
    EXPECT_FALSE(train(constant, false)["validation"].contains("lr_decays"));
    EXPECT_FALSE(tensors_of(read_all(folder_ / "run/model.safetensors")) == tensors_of(model));

    RunFolder::remove(folder_ / "run");
    nlohmann::json last;
    int stops = 0;
    for (; last.is_null(); ++stops) {
      ASSERT_LT(stops, 30);
      StopsAtValidations stopper;
      const Listening listening(stopper);
      last = train(config(words), stops > 0);
    }
    EXPECT_GT(stops, 3);
    EXPECT_EQ(last["validation"], whole["validation"]);
    EXPECT_EQ(last["test"], whole["test"]);
    EXPECT_TRUE(tensors_of(read_all(folder_ / "run/model.safetensors")) == tensors_of(model));
  }
}

TEST_F(Training, WhoeverChoosesByTheTestIsTold) {
  testing::internal::CaptureStderr();
  const nlohmann::json summary =
      train(config({"method=none", "train.eval_every=1", "eval.monitor_on=test"}), false);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("eval.monitor_on=test chooses the epoch by the rows that it is tested on"));
  EXPECT_EQ(summary["validation"]["on"], "test");
  EXPECT_EQ(summary["validation"]["best"], summary["test"]["auc"]["all"]);
}

/// A user's last item is tested and all others are trained on: there is nothing to validate on.
TEST_F(Training, TheLastItemAloneMayBeHeldOut) {
  const std::vector<std::string> words = {"method=none", "data.split=last_item", "train.eval_every=1",
                                          "train.patience=2"};
  EXPECT_THAT(error_of([&] { train(config(words), false); }),
              HasSubstr("data.split=last_item leaves no item for validations"));
  std::vector<std::string> on_test = words;
  on_test.push_back("eval.monitor_on=test");
  const nlohmann::json summary = train(config(on_test), false);
  const Dataset data = load_dataset(folder_ / "synthetic");
  Config settings = config(words);
  const World world = load_world(settings);
  EXPECT_EQ(world.split.train_interactions(), data.interactions() - data.users.count());
  EXPECT_NE(world.data->hash, data.hash);
  EXPECT_EQ(summary["test"]["n"]["all"], data.users.count());
}

/// Each in its own direction: the best of all validations, the first of several.
TEST_F(Training, TheMonitoredMetricChoosesTheEpoch) {
  struct Case {
    const char *protocol, *monitor;
    bool lower;
  };
  std::set<int> chosen;
  for (const Case& each : {Case{"ctr", "log_loss", true}, Case{"ctr", "auc", false},
                           Case{"full", "ndcg@10", false}, Case{"full", "gini@10", true}}) {
    SCOPED_TRACE(each.monitor);
    std::vector<std::string> overrides = {"method=none",
                                          "train.epochs=12",
                                          "train.lr=0.5",
                                          "train.eval_every=1",
                                          "train.patience=3",
                                          std::string("eval.protocol=") + each.protocol,
                                          std::string("eval.monitor=") + each.monitor};
    if (std::string(each.monitor) == "gini@10") overrides.push_back("eval.lists=true");
    RunFolder::remove(folder_ / "run");
    const nlohmann::json summary = train(config(overrides), false);
    std::istringstream log(read_all(folder_ / "run/metrics.jsonl"));
    std::string line;
    double best = 0;
    int best_epoch = 0, last_epoch = 0;
    while (std::getline(log, line)) {
      const nlohmann::json event = nlohmann::json::parse(line);
      if (event["event"] != "validation") continue;
      const double value = event[each.monitor]["all"];
      last_epoch = event["epoch"];
      if (best_epoch != 0 && (each.lower ? value >= best : value <= best)) continue;
      best = value;
      best_epoch = event["epoch"];
    }
    EXPECT_EQ(summary["validation"],
              (nlohmann::json{{"monitor", each.monitor}, {"best", best}, {"best_epoch", best_epoch}}));
    EXPECT_EQ(last_epoch, std::min(12, best_epoch + 3));
    chosen.insert(best_epoch);
    const nlohmann::json again = evaluate_run({folder_ / "run", Target::validation, "cpu", ""});
    EXPECT_EQ(again[each.monitor]["all"], best);
  }
  EXPECT_GT(chosen.size(), 1U) << "they could all have been chosen by one";
}

TEST_F(Training, AMonitorThatIsNoneIsSaidBeforeTraining) {
  const auto error = [this](std::vector<std::string> overrides) {
    overrides.insert(overrides.begin(), {"method=none", "train.eval_every=1"});
    return error_of([&] { train(config(overrides), false); });
  };
  EXPECT_THAT(error({"eval.monitor=ndgc@10"}), HasSubstr("did you mean 'ndcg@10'"));
  EXPECT_THAT(error({"eval.monitor=recall@7"}), HasSubstr("no 'recall@7'")) << "no cut-off of eval.topk";
  EXPECT_THAT(error({"eval.monitor=coverage@10"}), HasSubstr("set eval.lists=true"));
  EXPECT_THAT(error({"eval.monitor=log_loss"}), HasSubstr("no 'log_loss'")) << "of another protocol";
  EXPECT_THAT(error({"eval.monitor=mrr", "train.eval_every=0"}), HasSubstr("set train.eval_every"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

/// A checkpoint without what only training reads.
TEST_F(Training, EvaluationNeedsTheTensorsOfTheModelAlone) {
  for (const OptimizerInfo& optimizer : kOptimizers) {
    if (optimizer.every_row) continue;
    RunFolder::remove(folder_ / "run");
    const nlohmann::json summary =
        train(config({"train.optimizer=" + std::string(optimizer.name), "train.lr=0.01"}), false);
    keep_tensors(folder_ / "run/model.safetensors", {"users.weights", "items.weights"});
    EXPECT_EQ(evaluate_run({folder_ / "run", Target::test, "cpu", ""}), summary["test"]) << optimizer.name;
  }
}

TEST_F(Training, TheRowsOfTheTablesAreNamed) {
  train(config({"method=none", "train.epochs=1"}), false);
  const Dataset data = load_dataset(folder_ / "synthetic");
  const auto expect_rows = [&](const char* file, const char* name, const TokenMap& tokens) {
    std::istringstream lines(read_all(folder_ / ("run/" + std::string(file))));
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, std::string(name) + "\trow");
    Id rows = 0;
    while (std::getline(lines, line)) {
      ++rows;
      EXPECT_EQ(line, std::string(tokens.token(rows)) + "\t" + std::to_string(rows));
    }
    EXPECT_EQ(rows, tokens.count());
  };
  expect_rows("users.tsv", "user_id", data.users);
  expect_rows("items.tsv", "item_id", data.items);
}

TEST_F(Training, EvaluatingAStoredRunGivesTheSummarysFigures) {
  const nlohmann::json summary = train(config({"method=mlp"}), false);
  EXPECT_EQ(evaluate_run({folder_ / "run", Target::test, "cpu", ""}), summary["test"]);
}

TEST_F(Training, DivergenceIsAnError) {
  EXPECT_THAT(error_of([&] {
                Bench(config({"train.lr=1e6", "train.epochs=10"})).train();
              }),
              HasSubstr("not finite"));
}

TEST_F(Training, OptionsThatDoNotApplyAreErrors) {
  const auto error = [this](std::vector<std::string> overrides) {
    return error_of([&] { Bench(config(std::move(overrides))); });
  };
  EXPECT_THAT(error({"train.batch_size=64"}), HasSubstr("train.batch_size"));
  EXPECT_THAT(error({"train.mode=exact", "train.chunk_rows=64"}), HasSubstr("train.chunk_rows"));
  EXPECT_THAT(error({"llm.max_pairs_per_batch=4"}), HasSubstr("llm.max_pairs_per_batch"));
  EXPECT_THAT(error({"train.optimizer=adam"}),
              HasSubstr("use train.mode=exact, or train.optimizer=sgd, adagrad"));
  EXPECT_THAT(error({"train.cuda_graph=true"}), HasSubstr("train.cuda_graph"));
  EXPECT_THAT(error({"train.patience=3"}), HasSubstr("train.eval_every"));
  EXPECT_NO_THROW(Bench(config({"train.eval_every=0", "train.patience=0"}))) << "a recipe's patience, undone";
  EXPECT_THAT(error({"llm.largest_pairs=3"}), HasSubstr("llm.largest_pairs"));
  EXPECT_THAT(error({"llm.noise_slice=warm"}), HasSubstr("llm.noise_slice"));
  EXPECT_THAT(error({"llm.noise_kind=flat"}), HasSubstr("llm.noise_kind"));
  EXPECT_THAT(error({"method=hinge", "gate.objective=budget"}), HasSubstr("gate.objective"));
  EXPECT_THAT(error({"method=mlp", "gate.rule=learned"}), HasSubstr("gate.rule"));
  EXPECT_THAT(error({"method=agrement"}), HasSubstr("agreement"));
  EXPECT_THAT(error({"llm.scores=x"}), HasSubstr("llm.scores"));
  EXPECT_THAT(error({"llm.scorer=file"}), HasSubstr("llm.scores"));
  EXPECT_THAT(error({"model.width=48"}), HasSubstr("32, 64, 128 or 256"));
}

TEST_F(Training, TheLimitOfPairsABatchIsKept) {
  const EpochReport all = Bench(exact_config({"train.epochs=1"})).train();
  const EpochReport few = Bench(exact_config({"train.epochs=1", "llm.max_pairs_per_batch=16"})).train();
  EXPECT_GT(told(all, "pairs"), 0.9 * static_cast<double>(all.rows));
  EXPECT_LE(told(few, "pairs"), 16.0 * (static_cast<double>(few.rows) / 64 + 1));
  EXPECT_GT(told(few, "pairs"), 0);
}

}  // namespace
}  // namespace sllmr
