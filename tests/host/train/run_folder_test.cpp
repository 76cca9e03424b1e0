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
  TemporaryFolder folder;
  std::string path = folder / "runs/beauty";
  std::string metrics = path + "/metrics.jsonl";
  std::string gate = path + "/gate.jsonl";
};

TEST_F(RunFolderTest, StoresTheConfigAndOneEventALine) {
  Config config;
  config.llm.lambda = 0.25;
  RunFolder run = RunFolder::create(path, config);
  run.log({{"epoch", 1}, {"loss", 0.5}});
  run.log({{"epoch", 2}});
  run.log_gate({{"epoch", 1}, {"alpha", 0.75}});
  EXPECT_EQ(read_all(metrics), "{\"epoch\":1,\"loss\":0.5}\n{\"epoch\":2}\n");  // while the run is open
  EXPECT_EQ(read_all(gate), "{\"alpha\":0.75,\"epoch\":1}\n");
  EXPECT_EQ(load_config(run.file("config.toml"), {}).llm.lambda, 0.25);
  run.write_summary({{"auc", 0.7}});
  EXPECT_EQ(read_all(run.file("summary.json")), "{\n  \"auc\": 0.7\n}\n");
}

TEST_F(RunFolderTest, AnotherRunIsNotOverwritten) {
  { RunFolder::create(path, {}).log({{"epoch", 1}}); }
  EXPECT_EQ(error_of([&] { RunFolder::create(path, {}); }),
            "run folder '" + path + "' holds a run: resume it, remove it, or choose another run_dir");
  EXPECT_EQ(read_all(metrics), "{\"epoch\":1}\n");
}

TEST_F(RunFolderTest, AnEmptyFolderMayBecomeARun) {
  fs::create_directories(path);
  EXPECT_NO_THROW(RunFolder::create(path, {}));
}

TEST_F(RunFolderTest, ResumeAppends) {
  { RunFolder::create(path, {}).log({{"epoch", 1}}); }
  RunFolder::resume(path).log({{"epoch", 2}});
  EXPECT_EQ(read_all(metrics), "{\"epoch\":1}\n{\"epoch\":2}\n");
}

TEST_F(RunFolderTest, ResumeWithoutARunIsAnError) {
  EXPECT_EQ(error_of([&] { RunFolder::resume(path); }),
            "nothing to resume in '" + path + "': it has no config.toml");
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(RunFolderTest, ResumeRemovesWhatAKilledProcessLeft) {
  { RunFolder::create(path, {}); }
  std::ofstream(path + "/model.safetensors.tmp.123") << "half";
  std::ofstream(path + "/model.safetensors") << "whole";
  RunFolder::resume(path);
  EXPECT_FALSE(fs::exists(path + "/model.safetensors.tmp.123"));
  EXPECT_TRUE(fs::exists(path + "/model.safetensors"));
}

TEST_F(RunFolderTest, EventsAfterTheCheckpointAreDropped) {
  { RunFolder::create(path, {}); }
  const std::string kept = "{\"event\":\"start\"}\n{\"epoch\":1}\n{\"epoch\":2}\n{\"event\":\"note\"}\n";
  std::ofstream(metrics) << kept << "{\"epoch\":3}\n{\"event\":\"end\"}\n{\"epo";
  std::ofstream(gate) << "{\"epoch\":3}\n";
  RunFolder run = RunFolder::resume(path);
  run.drop_events_after(2);
  EXPECT_EQ(read_all(metrics), kept);
  EXPECT_EQ(read_all(gate), "");
  run.log({{"epoch", 3}});
  run.log_gate({{"epoch", 3}});
  EXPECT_EQ(read_all(metrics), kept + "{\"epoch\":3}\n");
  EXPECT_EQ(read_all(gate), "{\"epoch\":3}\n");
}

TEST_F(RunFolderTest, ATornLastLineIsDroppedEvenIfItParses) {
  { RunFolder::create(path, {}); }
  std::ofstream(metrics) << "{\"epoch\":1}\n{\"epoch\":1}";
  RunFolder::resume(path).drop_events_after(5);
  EXPECT_EQ(read_all(metrics), "{\"epoch\":1}\n");
}

TEST_F(RunFolderTest, AMalformedLineInTheMiddleIsAnErrorAndChangesNothing) {
  { RunFolder::create(path, {}); }
  const std::string text = "{\"epoch\":1}\n{\"epo\n{\"epoch\":2}\n";
  std::ofstream(metrics) << text;
  RunFolder run = RunFolder::resume(path);
  EXPECT_THAT(error_of([&] { run.drop_events_after(2); }), HasSubstr("metrics.jsonl:2: not a JSON event"));
  EXPECT_EQ(read_all(metrics), text);
}

TEST_F(RunFolderTest, TwoProcessesCannotTrainInOneFolder) {
  std::optional<RunFolder> run = RunFolder::create(path, {});
  RunFolder moved = std::move(*run);
  run.reset();  // the lock moved with the run
  const std::string expected = "another process is training in '" + path + "'";
  EXPECT_EQ(error_of([&] { RunFolder::resume(path); }), expected);
  EXPECT_EQ(error_of([&] { RunFolder::create(path, {}); }), expected);
}

TEST_F(RunFolderTest, TheLockOfAKilledProcessIsFree) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunFolder run = RunFolder::create(path, {});
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(RunFolder::resume(path));
}

TEST_F(RunFolderTest, AFullDiskIsAnErrorNamingTheFile) {
  RunFolder run = RunFolder::create(path, {});
  const FileSizeLimit limit(64);
  EXPECT_EQ(error_of([&] {
              for (int epoch = 1; epoch < 10; ++epoch) run.log({{"epoch", epoch}});
            }),
            "cannot write '" + metrics + "': File too large");
  EXPECT_THAT(error_of([&] {
                run.write_summary({{"text", std::string(100, 'x')}});
              }),
              AllOf(HasSubstr("summary.json"), HasSubstr("File too large")));
  EXPECT_FALSE(fs::exists(path + "/summary.json"));
}

TEST_F(RunFolderTest, AnUnwritablePlaceIsAnErrorNamingTheFolder) {
  std::ofstream(folder / "file") << "x";
  const std::string below = folder / "file/run";
  EXPECT_EQ(error_of([&] { RunFolder::create(below, {}); }),
            "cannot create run folder '" + below + "': Not a directory");
}

}  // namespace
}  // namespace sllmr
