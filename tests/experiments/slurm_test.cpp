// The scripts of tools/slurm as Slurm would run them.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/experiments/cli.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

class Slurm : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    std::ofstream(folder_ / "recipe.toml") << fmt::format(
        "[data]\npath = '{}'\n[model]\nname = 'mf'\nwidth = 32\n[train]\nepochs = {}\n", data(), 30);
    std::ofstream(folder_ / "table.toml") << fmt::format(
        "title = 'T'\nrecipe = '{}'\nmetric = ['auc']\nout = '{}'\n[[column]]\nname = 'C'\nset = []\n"
        "seeds = [1, 2, 3]\n[[row]]\nname = 'none'\nset = ['method=none']\n",
        folder_ / "recipe.toml", folder_ / "runs");
    // What requeues a job; here it says which.
    std::filesystem::create_directories(folder_ / "bin");
    std::ofstream(folder_ / "bin/scontrol") << "#!/bin/sh\necho \"$@\" >>" << folder_ / "requeued"
                                            << "\n";
    std::filesystem::permissions(folder_ / "bin/scontrol", std::filesystem::perms::all);
  }
  std::string script(const std::string& name, int task, int tasks, const std::string& words) const {
    return fmt::format(
        "PATH={}:$PATH SLLMR={} SLLMR_START=env SLURM_JOB_ID=7 SLURM_ARRAY_TASK_ID={} "
        "SLURM_ARRAY_TASK_COUNT={} "
        "SLURM_CPUS_PER_TASK=1 exec bash tools/slurm/{} {} >{}.{} 2>&1",
        folder_ / "bin", SLLMR_PROGRAM, task, tasks, name, words, folder_ / "log", task);
  }
  nlohmann::json results() const { return nlohmann::json::parse(read_all(folder_ / "runs/results.json")); }
};

TEST_F(Slurm, TasksOfAnArrayFillOneTable) {
  int first = -1, second = -1;
  {
    const std::string words = folder_ / "table.toml";
    const std::jthread other([&] { second = std::system(script("experiment.sbatch", 2, 2, words).c_str()); });
    first = std::system(script("experiment.sbatch", 1, 2, words).c_str());
  }
  EXPECT_EQ(first, 0) << read_all(folder_ / "log.1");
  EXPECT_EQ(second, 0) << read_all(folder_ / "log.2");
  const nlohmann::json whole = results();
  EXPECT_EQ(whole["complete"], true);
  ASSERT_EQ(whole["runs"].size(), 3);
  for (const auto& run : whole["runs"]) EXPECT_EQ(run["threads"], 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "requeued"));
}

TEST_F(Slurm, AStoppedTaskGoesBackToTheQueue) {
  int status = 0;
  {
    const std::jthread task([&] {
      // timeout(1) sends what Slurm does before a limit, to the script alone.
      const std::string line =
          script("experiment.sbatch", 1, 1, (folder_ / "table.toml") + " train.epochs=100000");
      status = std::system(("echo $$ >" + (folder_ / "pid") + "; " + line).c_str());
    });
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const auto started = [&] {
      std::error_code none;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path(), none)) {
        if (entry.path().filename() == "metrics.jsonl" && std::filesystem::file_size(entry.path(), none) > 0)
          return true;
      }
      return false;
    };
    while (!started() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const int pid = std::atoi(read_all(folder_ / "pid").c_str());
    ASSERT_GT(pid, 1);
    ::kill(pid, SIGTERM);
  }
  EXPECT_EQ(WEXITSTATUS(status), 130) << read_all(folder_ / "log.1");
  EXPECT_EQ(read_all(folder_ / "requeued"), "requeue 7\n");
}

TEST_F(Slurm, AJobOfSeveralRanksResumes) {
  const std::string words = (folder_ / "recipe.toml") + " method=none run_dir=" + (folder_ / "run");
  ASSERT_EQ(std::system(script("train.sbatch", 1, 1, words).c_str()), 0) << read_all(folder_ / "log.1");
  EXPECT_EQ(std::system(script("train.sbatch", 1, 1, words).c_str()), 0) << read_all(folder_ / "log.1");
  EXPECT_THAT(read_all(folder_ / "log.1"), HasSubstr("auc"));
}

}  // namespace
}  // namespace sllmr
