#include "host/runs/run_folder.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/host/support.h"

namespace sllmr {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class RunFolderTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string path_ = folder_ / "runs/beauty";
  std::string metrics_ = path_ + "/metrics.jsonl";
  std::string guidance_ = path_ + "/guidance.jsonl";
};

TEST_F(RunFolderTest, StoresTheConfigAndOneEventALine) {
  Config config;
  config.llm.lambda = 0.25;
  RunFolder run = RunFolder::create(path_, config);
  run.log({{"epoch", 1}, {"loss", 0.5}});
  run.log({{"epoch", 2}});
  run.log_guidance({{"epoch", 1}, {"alpha", 0.75}});
  EXPECT_EQ(read_all(metrics_), "{\"epoch\":1,\"loss\":0.5}\n{\"epoch\":2}\n");  // while the run is open
  EXPECT_EQ(read_all(guidance_), "{\"alpha\":0.75,\"epoch\":1}\n");
  EXPECT_EQ(load_config(run.file("config.toml"), {}).llm.lambda, 0.25);
  Dataset data;
  data.users.add("ann");
  data.items.add("x");
  data.items.add("y z");
  run.write_tokens(data);
  EXPECT_EQ(read_all(run.file("users.tsv")), "user_id\trow\nann\t1\n");
  EXPECT_EQ(read_all(run.file("items.tsv")), "item_id\trow\nx\t1\ny z\t2\n");
  run.write_summary({{"auc", 0.7}});
  EXPECT_EQ(read_all(run.file("summary.json")), "{\n  \"auc\": 0.7\n}\n");
}

TEST_F(RunFolderTest, AnotherRunIsNotOverwritten) {
  { RunFolder::create(path_, {}).log({{"epoch", 1}}); }
  EXPECT_EQ(error_of([&] { RunFolder::create(path_, {}); }),
            "run folder '" + path_ + "' holds a run: resume it, remove it, or choose another run_dir");
  EXPECT_EQ(read_all(metrics_), "{\"epoch\":1}\n");
}

TEST_F(RunFolderTest, AnEmptyFolderMayBecomeARun) {
  fs::create_directories(path_);
  EXPECT_NO_THROW(RunFolder::create(path_, {}));
}

TEST_F(RunFolderTest, ResumeAppends) {
  { RunFolder::create(path_, {}).log({{"epoch", 1}}); }
  RunFolder::resume(path_).log({{"epoch", 2}});
  EXPECT_EQ(read_all(metrics_), "{\"epoch\":1}\n{\"epoch\":2}\n");
}

TEST_F(RunFolderTest, ResumeWithoutARunIsAnError) {
  EXPECT_EQ(error_of([&] { RunFolder::resume(path_); }),
            "nothing to resume in '" + path_ + "': it has no config.toml");
  EXPECT_FALSE(fs::exists(path_));
}

/// What a killed process left half-written goes, whether its run goes on or is begun anew; nothing else does.
TEST_F(RunFolderTest, OnlyItsOwnTemporariesAreRemoved) {
  fs::create_directories(path_ + "/config.toml.tmp.7");  // a folder is nobody's temporary
  const std::vector<std::string> foreign = {"notes.tmp.txt", "notes.tmp.12", "model.safetensors.tmp.12.bak",
                                            "old_model.safetensors.tmp.12"};
  for (const std::string& name : foreign) std::ofstream(path_ + "/" + name) << "mine";
  const std::vector<std::string> own = {"config.toml", "metrics.jsonl", "summary.json", "model.safetensors",
                                        "best.safetensors"};
  const auto leave_temporaries = [&] {
    for (const std::string& name : own) std::ofstream(path_ + "/" + name + ".tmp.123") << "half";
  };
  const auto check = [&] {
    for (const std::string& name : own) EXPECT_FALSE(fs::exists(path_ + "/" + name + ".tmp.123")) << name;
    for (const std::string& name : foreign) EXPECT_EQ(read_all(path_ + "/" + name), "mine") << name;
    EXPECT_TRUE(fs::is_directory(path_ + "/config.toml.tmp.7"));
  };
  leave_temporaries();
  { RunFolder::create(path_, {}); }
  check();
  leave_temporaries();
  std::ofstream(path_ + "/model.safetensors") << "whole";
  RunFolder::resume(path_);
  check();
  EXPECT_EQ(read_all(path_ + "/model.safetensors"), "whole");
  RunFolder::remove(path_);
  for (const std::string& name : foreign) EXPECT_EQ(read_all(path_ + "/" + name), "mine") << name;
  for (const std::string& path : run_files(path_)) EXPECT_FALSE(fs::exists(path)) << path;
}

TEST_F(RunFolderTest, FilesOfARunWithoutItsConfigurationAreNotOverwritten) {
  fs::create_directories(path_);
  for (const char* name : {"best.safetensors", "metrics.jsonl", "summary.json", "users.tsv", "items.tsv"}) {
    const std::string file = path_ + "/" + name;
    std::ofstream(file) << "work";
    EXPECT_THAT(error_of([&] { RunFolder::create(path_, {}); }),
                AllOf(HasSubstr(std::string("holds a ") + name), HasSubstr("choose another run_dir")));
    EXPECT_EQ(read_all(file), "work");
    fs::remove(file);
  }
  std::ofstream(metrics_).flush();  // of a run that was killed as it began
  EXPECT_NO_THROW(RunFolder::create(path_, {}));
}

TEST_F(RunFolderTest, ARemovedRunLeavesNothing) {
  { RunFolder::create(path_, {}).write_tokens({}); }
  {
    const RunFolder training = RunFolder::resume(path_);
    EXPECT_THAT(error_of([&] { RunFolder::remove(path_); }), HasSubstr("another process is training"));
  }
  RunFolder::remove(path_);
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_NO_THROW(RunFolder::remove(path_));
}

TEST_F(RunFolderTest, EventsAfterTheCheckpointAreDropped) {
  { RunFolder::create(path_, {}); }
  const std::string kept = "{\"event\":\"start\"}\n{\"epoch\":1}\n{\"epoch\":2}\n{\"event\":\"note\"}\n";
  std::ofstream(metrics_) << kept << "{\"epoch\":3}\n{\"event\":\"end\"}\n{\"epo";
  std::ofstream(guidance_) << "{\"epoch\":3}\n";
  RunFolder run = RunFolder::resume(path_);
  run.drop_events_after(2);
  EXPECT_EQ(read_all(metrics_), kept);
  EXPECT_EQ(read_all(guidance_), "");
  run.log({{"epoch", 3}});
  run.log_guidance({{"epoch", 3}});
  EXPECT_EQ(read_all(metrics_), kept + "{\"epoch\":3}\n");
  EXPECT_EQ(read_all(guidance_), "{\"epoch\":3}\n");
}

TEST_F(RunFolderTest, ATornLastLineIsDroppedEvenIfItParses) {
  { RunFolder::create(path_, {}); }
  std::ofstream(metrics_) << "{\"epoch\":1}\n{\"epoch\":1}";
  RunFolder::resume(path_).drop_events_after(5);
  EXPECT_EQ(read_all(metrics_), "{\"epoch\":1}\n");
}

TEST_F(RunFolderTest, AMalformedLineInTheMiddleIsAnErrorAndChangesNothing) {
  { RunFolder::create(path_, {}); }
  const std::string text = "{\"epoch\":1}\n{\"epo\n{\"epoch\":2}\n";
  std::ofstream(metrics_) << text;
  RunFolder run = RunFolder::resume(path_);
  EXPECT_THAT(error_of([&] { run.drop_events_after(2); }), HasSubstr("metrics.jsonl:2: not a JSON event"));
  EXPECT_EQ(read_all(metrics_), text);
}

TEST_F(RunFolderTest, AnEpochThatIsNoneIsAnErrorNamingTheLine) {
  { RunFolder::create(path_, {}); }
  RunFolder run = RunFolder::resume(path_);
  for (const char* epoch : {"\"x\"", "null", "[1]", "1.5", "-1", "18446744073709551615", "99999999999"}) {
    const std::string text = "{\"epoch\":1}\n{\"epoch\":" + std::string(epoch) + "}\n";
    std::ofstream(guidance_, std::ios::trunc) << text;
    EXPECT_THAT(error_of([&] { run.drop_events_after(2); }),
                AllOf(HasSubstr("guidance.jsonl:2: "), HasSubstr("remove the line to resume")))
        << epoch;
    EXPECT_EQ(read_all(guidance_), text);
  }
}

TEST_F(RunFolderTest, ADamagedSummaryIsAnErrorThatNamesItsFault) {
  EXPECT_TRUE(read_summary(path_).is_null());
  fs::create_directories(path_);
  const nlohmann::json whole = {{"config", ""},
                                {"data_hash", ""},
                                {"commit", ""},
                                {"machine", "m"},
                                {"test",
                                 {{"protocol", "full"},
                                  {"n", {{"all", 3}, {"cold", 0}, {"tail", 1}}},
                                  {"auc", {{"all", 0.5}, {"cold", nullptr}, {"tail", 1}}}}},
                                {"method", "none"},
                                {"seconds", {{"total", 1}, {"train", 1}}}};
  std::ofstream(path_ + "/summary.json") << whole;
  EXPECT_EQ(read_summary(path_), whole);
  // Every value in its turn is gone, then of another type.
  const nlohmann::json flat = whole.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    if (value == "m") continue;  // the machine may be anything
    const nlohmann::json::json_pointer at(pointer);
    nlohmann::json damaged = whole;
    damaged[at] = nlohmann::json::array();
    std::ofstream(path_ + "/summary.json") << damaged;
    EXPECT_THAT(error_of([&] { read_summary(path_); }),
                AllOf(HasSubstr("summary.json: not a run's summary"), HasSubstr("remove the folder")))
        << pointer;
    damaged[at.parent_pointer()].erase(at.back());
    std::ofstream(path_ + "/summary.json") << damaged;
    EXPECT_THAT(error_of([&] { read_summary(path_); }), HasSubstr("not a run's summary")) << pointer;
  }
  std::ofstream(path_ + "/summary.json") << std::string(100'000, '[');
  EXPECT_THAT(error_of([&] { read_summary(path_); }), HasSubstr("it is no JSON"));
}

TEST_F(RunFolderTest, TwoProcessesCannotTrainInOneFolder) {
  std::optional<RunFolder> run = RunFolder::create(path_, {});
  RunFolder moved = std::move(*run);
  run.reset();  // the lock moved with the run
  const std::string expected = "another process is training in '" + path_ + "'";
  EXPECT_EQ(error_of([&] { RunFolder::resume(path_); }), expected);
  EXPECT_EQ(error_of([&] { RunFolder::create(path_, {}); }), expected);
}

TEST_F(RunFolderTest, TheLockOfAKilledProcessIsFree) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunFolder run = RunFolder::create(path_, {});
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(RunFolder::resume(path_));
}

TEST_F(RunFolderTest, AFullDiskIsAnErrorNamingTheFile) {
  RunFolder run = RunFolder::create(path_, {});
  const FileSizeLimit limit(64);
  EXPECT_EQ(error_of([&] {
              for (int epoch = 1; epoch < 10; ++epoch) run.log({{"epoch", epoch}});
            }),
            "cannot write '" + metrics_ + "': File too large");
  EXPECT_THAT(error_of([&] {
                run.write_summary({{"text", std::string(100, 'x')}});
              }),
              AllOf(HasSubstr("summary.json"), HasSubstr("File too large")));
  EXPECT_FALSE(fs::exists(path_ + "/summary.json"));
}

TEST_F(RunFolderTest, AnUnwritablePlaceIsAnErrorNamingTheFolder) {
  std::ofstream(folder_ / "file") << "x";
  const std::string path = folder_ / "file/run";
  EXPECT_EQ(error_of([&] { RunFolder::create(path, {}); }),
            "cannot create run folder '" + path + "': Not a directory");
}

}  // namespace
}  // namespace sllmr
