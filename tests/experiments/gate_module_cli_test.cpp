// Gates from headers that are compiled when a run begins.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/experiments/cli.h"
#include "tests/support/process.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class GateModuleCli : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ::setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
  }
  void TearDown() override { ::unsetenv("XDG_CACHE_HOME"); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  /// A header of the program's own, under other names.
  std::string renamed(const std::string& header, const std::string& type, const std::string& name) const {
    std::string text = read_all(std::string(SLLMR_SOURCE_DIR) + "/kernels/gates/" + header);
    for (const auto& [from, to] : {std::pair("struct " + type, std::string("struct Mine")),
                                   std::pair("name = \"" + name, std::string("name = \"mine"))}) {
      const std::size_t at = text.find(from);
      EXPECT_NE(at, std::string::npos) << from;
      text.replace(at, from.size(), to);
    }
    return write("mine_" + name + ".h", text);
  }
  static std::string rule(const std::string& alpha, const std::string& more = {}) {
    return fmt::format(
        "#include \"kernels/gates/rule.h\"\nnamespace sllmr::gates {{\nstruct Mine : GateRule {{\n"
        "  static constexpr std::string_view name = \"mine\", summary = \"mine\";\n  {}\n"
        "  template <class Theta>\n  SLLMR_HD static auto alpha(const GateSignals& z, const Theta& theta) "
        "{{\n"
        "    {}\n  }}\n}};\n}}  // namespace sllmr::gates\n",
        more, alpha);
  }

  Outcome train(const std::string& run, const std::vector<std::string>& words, bool resume = false) const {
    std::vector<std::string> all = {"train",
                                    "data.path=" + data(),
                                    "device=cpu",
                                    "threads=1",
                                    "train.epochs=2",
                                    "llm.pair_rate=0.5",
                                    "run_dir=" + (folder_ / run)};
    all.insert(all.end(), words.begin(), words.end());
    if (resume) all.emplace_back("--resume");
    return sllmr::run(all);
  }
  std::string tensors(const std::string& run) const { return tensors_of(folder_ / run); }
  std::string check_error(const std::string& text) const {
    return sllmr::run({"gates", "check", write("gate.h", text)}).err;
  }
};

/// The same rule compiled in, bit by bit.
TEST_F(GateModuleCli, ARuleOfAHeaderIsTheRegisteredOne) {
  const std::string header = renamed("confident.h", "Confident", "confident");
  const std::vector<std::pair<std::string, std::vector<std::string>>> runs = {
      {"fused", {"model.name=mf", "model.width=32", "method=calibrated"}},
      {"exact",
       {"model.name=mf", "model.width=32", "method=agreement", "train.mode=exact",
        "train.optimizer=lazy_adam"}},
      {"deep",
       {"model.name=deepfm", "model.width=8", "model.hidden=[16, 8]", "method=calibrated", "train.loss=bce",
        "train.mode=exact", "train.optimizer=adam", "train.batch_size=64", "train.chunk_rows=256"}}};
  for (const auto& [name, words] : runs) {
    SCOPED_TRACE(name);
    std::vector<std::string> own = words, registered = words;
    own.push_back("gate.rule=" + header);
    registered.emplace_back("gate.rule=confident");
    const Outcome first = train(name + "_own", own);
    ASSERT_EQ(first.status, 0) << first.err;
    EXPECT_THAT(first.err, HasSubstr("compiling " + header));
    ASSERT_EQ(train(name + "_registered", registered).status, 0);
    EXPECT_TRUE(tensors(name + "_own") == tensors(name + "_registered"));
    const auto guidance = [&](const std::string& run) {
      nlohmann::json told = nlohmann::json::parse(read_all(folder_ / (run + "/summary.json")))["guidance"];
      EXPECT_EQ(told.erase("rule"), 1);
      return told;
    };
    EXPECT_EQ(guidance(name + "_own"), guidance(name + "_registered"));
    const Outcome second = train(name + "_again", own);
    EXPECT_EQ(second.status, 0);
    EXPECT_EQ(second.err.find("compiling"), std::string::npos) << "compiled once";
  }
}

TEST_F(GateModuleCli, ObjectivesAndPenaltiesAreTakenToo) {
  const std::string objective = renamed("objectives/agreement.h", "Agreement", "agreement"),
                    penalty = renamed("penalties/soft.h", "Soft", "soft");
  const std::vector<std::string> words = {"model.name=mf", "model.width=32", "method=mlp"};
  std::vector<std::string> own = words, registered = words;
  own.insert(own.end(), {"gate.objective=" + objective, "llm.penalty=" + penalty});
  registered.insert(registered.end(), {"gate.objective=agreement", "llm.penalty=soft"});
  const Outcome first = train("own", own);
  ASSERT_EQ(first.status, 0) << first.err;
  ASSERT_EQ(train("registered", registered).status, 0);
  EXPECT_TRUE(tensors("own") == tensors("registered"));
  EXPECT_THAT(
      train("wrong", {"model.name=mf", "method=agreement", "gate.rule=" + penalty}).err,
      AllOf(HasSubstr("defines a GatePenalty, and a GateRule is asked for"), Not(HasSubstr("compiling"))));
  const std::string taken = write(
      "taken.h", rule("return 1.0F;", "").replace(rule("return 1.0F;", "").find("\"mine\""), 6, "\"mlp\""));
  EXPECT_THAT(train("taken", {"model.name=mf", "train.mode=exact", "method=hinge", "gate.rule=" + taken}).err,
              HasSubstr("a registered part is called 'mlp' already"));
}

TEST_F(GateModuleCli, TheTrialTellsWhatAPartDoes) {
  const Outcome sound = sllmr::run({"gates", "check",
                                    write("rule.h", rule("return sigmoid(theta[0] + z.cold * theta[1]);",
                                                         "static constexpr int n_params = 2;"))});
  EXPECT_EQ(sound.status, 0) << sound.err;
  EXPECT_THAT(sound.out,
              AllOf(HasSubstr("mine: alpha from"), HasSubstr("reads cold;"), HasSubstr("compiled in")));
  EXPECT_THAT(check_error(rule("return 2.0F * z.score_gap;")), HasSubstr("has a fault"));
  const Outcome out_of_range =
      train("run", {"model.name=mf", "train.mode=exact", "method=hinge", "gate.rule=" + folder_ / "gate.h"});
  EXPECT_EQ(out_of_range.status, 1);
  EXPECT_THAT(out_of_range.err,
              AllOf(HasSubstr("gate.h: mine: alpha is 1."), HasSubstr("must lie in [0, 1]")));
  const Outcome logit =
      sllmr::run({"gates", "check", write("logit.h", rule("return z.logit > 0 ? 1.0F : 0.0F;"))});
  EXPECT_THAT(logit.out, HasSubstr("alpha depends on logit, but the rule does not say `uses_logit = true`"));
  const Outcome beyond = sllmr::run(
      {"gates", "check",
       write("beyond.h", rule("return sigmoid(theta[7]);", "static constexpr int n_params = 2;"))});
  EXPECT_THAT(beyond.out, HasSubstr("alpha reads parameter 7, and n_params is 2"));
  // A slope by hand that is wrong.
  const Outcome slope =
      sllmr::run({"gates", "check",
                  write("slope.h", rule("return chain(sigmoid(theta[0]), value_of(sigmoid(theta[0])), "
                                        "decltype(value_of(theta[0]))(3));",
                                        "static constexpr int n_params = 1;"))});
  EXPECT_THAT(slope.out, HasSubstr("its slope by parameter 0 is"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(GateModuleCli, FaultsPointIntoTheFile) {
  EXPECT_THAT(check_error(rule("return z.colt;")),
              AllOf(HasSubstr("gate.h does not compile"), HasSubstr("gate.h:8:"), HasSubstr("colt")));
  EXPECT_THAT(check_error("struct Mine {};\n"), HasSubstr("gate.h: 0 parts of a gate are defined here"));
  EXPECT_THAT(check_error(rule("return 1.0F;") + rule("return 0.0F;")),
              HasSubstr("gate.h: 2 parts of a gate"));
  EXPECT_THAT(check_error("struct Mine : GateRule {};\n"),
              HasSubstr("defined in `namespace sllmr::gates { .. }`"));
  EXPECT_THAT(sllmr::run({"gates", "check", folder_ / "none.h"}).err, HasSubstr("cannot read gate '"));
  ::setenv("SLLMR_CXX", "/nowhere/c++", 1);
  EXPECT_THAT(check_error(rule("return 1.0F;")), HasSubstr("which cannot be started: /nowhere/c++"));
  ::unsetenv("SLLMR_CXX");
  EXPECT_THAT(check_error(rule("return 1;")), HasSubstr("alpha must give a float"));
  EXPECT_THAT(
      check_error(
          "#include \"kernels/gates/rule.h\"\nnamespace sllmr::gates {\nstruct Mine : GateRule {};\n}\n"),
      HasSubstr("a gate part needs `static constexpr std::string_view name"));
  EXPECT_THAT(check_error(rule("return helper();", "static float helper();")),
              HasSubstr("compiles, but cannot be loaded"));
  EXPECT_THAT(check_error(rule("return 1.0F;") + "struct Heir : sllmr::gates::Mine {};\n"),
              HasSubstr("Heir derives from Mine"));
  EXPECT_THAT(check_error("// struct Other : GateRule\n" + rule("return z.colt;")), HasSubstr("gate.h:9:"));
}

TEST_F(GateModuleCli, ASignalToTheProgramAloneEndsTheCompiler) {
  ::setenv("SLLMR_CXX", ("touch " + (folder_ / "started") + "; sleep 60; true").c_str(), 1);
  Process process({"gates", "check", write("gate.h", rule("return 1.0F;"))});
  ::unsetenv("SLLMR_CXX");
  const int status =
      process.signal_when([&] { return std::filesystem::exists(folder_ / "started"); }, SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_LT(process.seconds_to_end(), 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "cache/sllmr/gates"));
}

TEST_F(GateModuleCli, LibrariesThatNobodyUsesLeaveTheCache) {
  const std::string header = write("gate.h", rule("return 1.0F;"));
  ASSERT_EQ(sllmr::run({"gates", "check", header}).status, 0);
  const auto libraries = [&] {
    std::vector<std::filesystem::path> found;
    for (const auto& file : std::filesystem::directory_iterator(folder_ / "cache/sllmr/gates"))
      found.push_back(file.path());
    return found;
  };
  ASSERT_EQ(libraries().size(), 1U);
  const std::filesystem::path first = libraries().front();
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 31);
  std::filesystem::last_write_time(first, long_ago);
  ASSERT_EQ(sllmr::run({"gates", "check", header}).status, 0);
  EXPECT_GT(std::filesystem::last_write_time(first), long_ago) << "it is in use";
  std::filesystem::last_write_time(first, long_ago);
  ASSERT_EQ(sllmr::run({"gates", "check", write("other.h", rule("return 0.5F;"))}).status, 0);
  EXPECT_EQ(libraries().size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(first));
}

TEST_F(GateModuleCli, AnotherTextIsAnotherGate) {
  const std::string header = write("gate.h", rule("return z.cold;"));
  const std::vector<std::string> words = {"model.name=mf", "model.width=32", "method=hinge",
                                          "gate.rule=" + header};
  ASSERT_EQ(train("run", words).status, 0);
  write("gate.h", rule("return z.tail;"));
  const Outcome changed = train("run", words, true);
  EXPECT_EQ(changed.status, 1);
  EXPECT_THAT(changed.err, HasSubstr("the gate of '" + header + "' (gate_hash"));
  ASSERT_EQ(train("other", words).status, 0);
  EXPECT_FALSE(tensors("other") == tensors("run"));
  std::filesystem::remove(header);
  const Outcome evaluated = sllmr::run({"eval", folder_ / "run", "--device", "cpu"});
  EXPECT_EQ(evaluated.status, 0) << "needs no gate: " << evaluated.err;
}

}  // namespace
}  // namespace sllmr
