// Training by several processes that mpirun starts.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/experiments/cli.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

class RanksCli : public CliTest {
 protected:
  void SetUp() override {
    if (!SLLMR_WITH_MPI) GTEST_SKIP() << "built without MPI (Debian: libopenmpi-dev openmpi-bin)";
    CliTest::SetUp();
    // Containers run as root, and may forbid the short cut between processes.
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
    ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
  }

  std::string words(const std::string& run, const std::string& more = {}) const {
    return fmt::format(
        "train data.path={} device=cpu threads=1 model.name=deepfm model.width=8 'model.hidden=[16, 8]' "
        "train.loss=bce train.mode=exact train.optimizer=adam train.lr=0.01 train.batch_size=64 "
        "train.chunk_rows=256 train.epochs=2 train.micro_batches=4 eval.protocol=ctr method=agreement "
        "run_dir={} {}",
        data(), folder_ / run, more);
  }
  /// Each rank writes the number of its process to the file pid.RANK.
  std::string command(int ranks, const std::string& program_words) const {
    return fmt::format(
        "exec mpirun -np {} --oversubscribe sh -c 'echo $$ > {}.$OMPI_COMM_WORLD_RANK; exec \"$@\"' sh {} {} "
        ">{} 2>{}",
        ranks, folder_ / "pid", std::filesystem::absolute(SLLMR_PROGRAM).string(), program_words,
        folder_ / "out", folder_ / "err");
  }
  Outcome by_ranks(int ranks, const std::string& program_words) const {
    const int status = std::system(command(ranks, program_words).c_str());
    return {WEXITSTATUS(status), read_all(folder_ / "out"), read_all(folder_ / "err")};
  }
  std::string tensors(const std::string& run) const { return tensors_of(folder_ / run); }
  std::string mf_words(const std::string& run) const {
    return fmt::format(
        "train data.path={} device=cpu threads=1 model.name=mf model.width=32 train.mode=exact "
        "train.optimizer=lazy_adam train.epochs=2 method=agreement run_dir={}",
        data(), folder_ / run);
  }
  /// `words_of` a run's name.
  template <class Words>
  void expect_same_by_ranks(const Words& words_of) const {
    const Outcome alone = by_ranks(1, words_of("alone"));
    ASSERT_EQ(alone.status, 0) << alone.err;
    for (const int ranks : {2, 4}) {
      SCOPED_TRACE(ranks);
      const std::string run = fmt::format("by_{}", ranks);
      const Outcome together = by_ranks(ranks, words_of(run));
      ASSERT_EQ(together.status, 0) << together.err;
      EXPECT_TRUE(tensors(run) == tensors("alone"));
      const std::string first_line = alone.out.substr(0, alone.out.find('\n'));
      EXPECT_EQ(together.out.find(first_line), together.out.rfind(first_line)) << together.out;
      const nlohmann::json a = nlohmann::json::parse(read_all(folder_ / "alone/summary.json")),
                           b = nlohmann::json::parse(read_all(folder_ / (run + "/summary.json")));
      EXPECT_EQ(a["test"], b["test"]);
      EXPECT_EQ(b["ranks"], ranks);
    }
  }
};

TEST_F(RanksCli, AnyNumberTrainsTheSameModelAndOneTellsOfIt) {
  for (const std::string protocol : {"ctr", "full"}) {
    SCOPED_TRACE(protocol);
    expect_same_by_ranks([&](const std::string& run) { return words(run, "eval.protocol=" + protocol); });
    for (const char* run : {"alone", "by_2", "by_4"}) std::filesystem::remove_all(folder_ / run);
  }
}

TEST_F(RanksCli, DeepBackbonesShareOutRowsOfTheirEmbeddings) {
  expect_same_by_ranks([&](const std::string& run) { return words(run, "train.shard_above=0"); });
  const Outcome again = by_ranks(2, words("by_4", "train.shard_above=0.001 --resume"));
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("warning: 2 ranks shard tables of embeddings"));
  EXPECT_EQ(again.err.find("warning: "), again.err.rfind("warning: ")) << again.err;
}

/// With tables that the ranks share out, too.
TEST_F(RanksCli, AKilledRankEndsAllAndAnotherNumberGoesOn) {
  const std::string more =
      "train.epochs=30 train.checkpoint_every=1 train.eval_every=1 train.patience=29 train.shard_above=0.005";
  ASSERT_EQ(by_ranks(1, words("whole", more)).status, 0);
  const std::string log = folder_ / "run/metrics.jsonl";
  std::filesystem::remove(folder_ / "pid.1");
  Outcome killed{};
  double seconds = 0;
  {
    const std::jthread mpirun([&] { killed = by_ranks(2, words("run", more)); });
    for (int tries = 0; tries < 6000 && read_all(log).find("\"epoch\":3") == std::string::npos; ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const int pid = std::atoi(read_all(folder_ / "pid.1").c_str());
    if (pid > 1) ::kill(pid, SIGKILL);
    seconds = -std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  EXPECT_NE(killed.status, 0);
  EXPECT_LT(seconds, 30);
  ASSERT_FALSE(std::filesystem::exists(folder_ / "run/summary.json")) << "it ended before it was killed";
  ASSERT_TRUE(std::filesystem::exists(folder_ / "run/model.safetensors"));
  const Outcome resumed = by_ranks(4, words("run", more + " --resume"));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_TRUE(tensors("run") == tensors("whole"));
  for (const char* name : {"test", "validation", "guidance"}) {
    EXPECT_EQ(nlohmann::json::parse(read_all(folder_ / "run/summary.json"))[name],
              nlohmann::json::parse(read_all(folder_ / "whole/summary.json"))[name]);
  }
}

TEST_F(RanksCli, MatrixFactorisationSharesOutItsRows) {
  expect_same_by_ranks([this](const std::string& run) { return mf_words(run); });
  const Outcome again = by_ranks(3, mf_words("by_2") + " --resume");
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("warning: 3 ranks shard tables of"));
  EXPECT_EQ(again.err.find("warning: "), again.err.rfind("warning: ")) << again.err;
}

TEST_F(RanksCli, WithoutAnEpochThereIsACheckpointToo) {
  const Outcome none = by_ranks(4, words("run", "train.epochs=0"));
  ASSERT_EQ(none.status, 0) << none.err;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/model.safetensors"));
  EXPECT_EQ(by_ranks(2, words("run", "train.epochs=0 --resume")).status, 0);
}

TEST_F(RanksCli, ErrorsAreToldOnceAndEndAllRanks) {
  const Outcome typo = by_ranks(2, words("run", "train.epoch=3"));
  EXPECT_EQ(typo.status, 1);
  EXPECT_EQ(typo.err.find("sllmr: error: "), typo.err.rfind("sllmr: error: ")) << typo.err;
  EXPECT_THAT(typo.err, HasSubstr("train.epoch"));
  EXPECT_THAT(by_ranks(3, words("run")).err, HasSubstr("cannot be shared by 3 ranks"));
  EXPECT_THAT(by_ranks(2, words("run", "train.micro_batches=1")).err,
              HasSubstr("2 ranks share the micro-batches of a batch, but train.micro_batches is 1"));
  EXPECT_THAT(by_ranks(2, fmt::format("train data.path={} threads=1 model.name=mf run_dir={}", data(),
                                      folder_ / "run"))
                  .err,
              HasSubstr("2 ranks need train.mode=exact"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(RanksCli, RanksWithDifferentWordsOrDataAreRefused) {
  std::string line = command(2, words("run"));
  line.replace(line.find("exec \"$@\""), 9, "exec \"$@\" seed=$((OMPI_COMM_WORLD_RANK + 1))");
  EXPECT_EQ(WEXITSTATUS(std::system(line.c_str())), 1);
  EXPECT_THAT(read_all(folder_ / "err"),
              HasSubstr("rank 1 has another configuration than rank 0, 'seed = 2' instead of 'seed = 1'"));
  // Data of the same name in another folder, with one line less.
  const std::string other = folder_ / "other";
  std::filesystem::create_directories(other);
  std::string lines = read_all(data() + ".inter");
  lines.resize(lines.rfind('\n', lines.size() - 2) + 1);
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    if (entry.path().filename().string().starts_with("synthetic"))
      std::filesystem::copy(entry.path(), std::filesystem::path(other) / entry.path().filename());
  }
  std::ofstream(other + "/synthetic.inter") << lines;
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "data.0");
  std::filesystem::create_directory_symlink(other, folder_ / "data.1");
  // Both see their data under one path, each in a working folder of its own.
  line = command(2, words("run", "data.path=synthetic"));
  line.replace(line.find("exec \"$@\""), 9,
               fmt::format("cd {}.$OMPI_COMM_WORLD_RANK && exec \"$@\"", folder_ / "data"));
  EXPECT_EQ(WEXITSTATUS(std::system(line.c_str())), 1);
  EXPECT_THAT(read_all(folder_ / "err"), HasSubstr("rank 1 has another data_hash than rank 0"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

}  // namespace
}  // namespace sllmr
