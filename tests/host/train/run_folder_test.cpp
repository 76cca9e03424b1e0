#include "host/train/run_folder.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

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
  std::string gate_ = path_ + "/gate.jsonl";
};

TEST_F(RunFolderTest, StoresTheConfigAndOneEventALine) {
  Config config;
  config.llm.lambda = 0.25;
  RunFolder run = RunFolder::create(path_, config);
  run.log({{"epoch", 1}, {"loss", 0.5}});
  run.log({{"epoch", 2}});
  run.log_gate({{"epoch", 1}, {"alpha", 0.75}});
  EXPECT_EQ(read_all(metrics_), "{\"epoch\":1,\"loss\":0.5}\n{\"epoch\":2}\n");  // while the run is open
  EXPECT_EQ(read_all(gate_), "{\"alpha\":0.75,\"epoch\":1}\n");
  EXPECT_EQ(load_config(run.file("config.toml"), {}).llm.lambda, 0.25);
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

TEST_F(RunFolderTest, ResumeRemovesWhatAKilledProcessLeft) {
  { RunFolder::create(path_, {}); }
  std::ofstream(path_ + "/model.safetensors.tmp.123") << "half";
  std::ofstream(path_ + "/model.safetensors") << "whole";
  RunFolder::resume(path_);
  EXPECT_FALSE(fs::exists(path_ + "/model.safetensors.tmp.123"));
  EXPECT_TRUE(fs::exists(path_ + "/model.safetensors"));
}

TEST_F(RunFolderTest, EventsAfterTheCheckpointAreDropped) {
  { RunFolder::create(path_, {}); }
  const std::string kept = "{\"event\":\"start\"}\n{\"epoch\":1}\n{\"epoch\":2}\n{\"event\":\"note\"}\n";
  std::ofstream(metrics_) << kept << "{\"epoch\":3}\n{\"event\":\"end\"}\n{\"epo";
  std::ofstream(gate_) << "{\"epoch\":3}\n";
  RunFolder run = RunFolder::resume(path_);
  run.drop_events_after(2);
  EXPECT_EQ(read_all(metrics_), kept);
  EXPECT_EQ(read_all(gate_), "");
  run.log({{"epoch", 3}});
  run.log_gate({{"epoch", 3}});
  EXPECT_EQ(read_all(metrics_), kept + "{\"epoch\":3}\n");
  EXPECT_EQ(read_all(gate_), "{\"epoch\":3}\n");
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
