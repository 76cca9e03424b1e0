// The program beside a process that keeps a core busy: how soon it hears Ctrl-C.
#include <gmock/gmock.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "host/data/import.h"
#include "host/data/synthetic.h"
#include "tests/host/support.h"
#include "tests/support/process.h"

namespace sllmr {
namespace {

/// A process that keeps a core busy.
class Hog {
 public:
  Hog() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::getppid();
  }
  ~Hog() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;

 private:
  pid_t pid_;
};

/// Where a run is stopped: the first moment at which `file` of the run folder holds `text`.
struct Phase {
  const char* name;
  std::vector<std::string> keys;
  const char* file;
  const char* text;
};

std::ostream& operator<<(std::ostream& out, const Phase& phase) {
  return out << phase.name;
}

std::vector<Phase> phases() {
  const auto deep = [](std::vector<std::string> keys) {
    keys.insert(keys.end(), {"train.mode=exact", "train.optimizer=adam", "train.lr=0.01", "train.loss=bce",
                             "train.chunk_rows=100000"});
    return keys;
  };
  // Takes some tenths of a second to rank.
  const auto slow = [&](std::vector<std::string> keys) {
    keys.insert(keys.end(), {"model.name=xdeepfm", "model.width=8", "train.epochs=1", "threads=1"});
    return deep(keys);
  };
  return {
      {"Loading", {}, "", ""},
      {"FusedTraining",
       {"train.epochs=200", "train.checkpoint_every=50", "threads=1"},
       "metrics.jsonl",
       "epoch"},
      {"DeepTrainingWithinAChunk",
       deep({"model.name=dcnv2", "train.batch_size=16", "train.epochs=4", "eval.protocol=ctr", "threads=2"}),
       "metrics.jsonl", "epoch"},
      {"ValidationRanking", slow({"train.eval_every=1"}), "metrics.jsonl", "epoch"},
      {"TestRanking", slow({}), "model.safetensors", "guidance"},
  };
}

class Stopping : public testing::TestWithParam<Phase> {
 protected:
  Stopping() {
    SyntheticOptions options;
    options.users = 120;
    options.items = 100;
    options.topics = 5;
    save_recbole(synthetic_dataset(options), folder_.path());
  }
  std::vector<std::string> words(const std::string& run) const {
    std::vector<std::string> words = {"train", "data.path=" + (folder_ / "synthetic"),
                                      "run_dir=" + (folder_ / run), "device=cpu", "method=agreement"};
    words.insert(words.end(), GetParam().keys.begin(), GetParam().keys.end());
    return words;
  }
  TemporaryFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(Company, Stopping, testing::ValuesIn(phases()),
                         [](const auto& each) { return std::string(each.param.name); });

// Also the first half of a second counts, in which nothing may be lost: the run ends with the bits of a whole
// one.
TEST_P(Stopping, CtrlCIsHeardWithinASecondAndNothingIsLost) {
  const Phase& phase = GetParam();
  Process process(words("stopped"));
  int status = 0;
  {
    const Hog hog;
    status = process.signal_when(
        [&] {
          return *phase.text == 0 ||
                 read_all(folder_ / ("stopped/" + std::string(phase.file))).find(phase.text) !=
                     std::string::npos;
        },
        SIGINT);
  }
  ASSERT_NE(status, -1) << "it never came so far";
  // A second, and half of one for whatever else this machine is at.
  EXPECT_LT(process.seconds_to_end(), 1.5);
  if (*phase.text == 0) return;  // there is nothing to resume
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "stopped/summary.json")) << "it ended before the signal";
  std::vector<std::string> again = words("stopped");
  again.emplace_back("--resume");
  ASSERT_EQ(Process(again).wait(), 0);
  ASSERT_EQ(Process(words("whole")).wait(), 0);
  for (const char* file : {"model.safetensors", "guidance.jsonl"}) {
    EXPECT_EQ(read_all(folder_ / ("stopped/" + std::string(file))),
              read_all(folder_ / ("whole/" + std::string(file))))
        << file;
  }
}

TEST(StoppingScores, CtrlCEndsThemAtOnceAndLeavesNoTable) {
  const TemporaryFolder folder;
  SyntheticOptions options;
  options.users = 2500;
  options.items = 2000;
  save_recbole(synthetic_dataset(options), folder.path());
  Process process({"llm", "score", "--data", folder / "synthetic", "--scorer", "lexical", "--candidates",
                   "2000", "--out", folder / "scores.tsv"});
  const Hog hog;
  const auto start = std::chrono::steady_clock::now();
  const int status = process.signal_when(
      [&] { return std::chrono::steady_clock::now() - start > std::chrono::milliseconds(300); }, SIGINT);
  EXPECT_LT(process.seconds_to_end(), 1.5);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it ended before the signal";
  EXPECT_FALSE(std::filesystem::exists(folder / "scores.tsv"));
}

}  // namespace
}  // namespace sllmr
