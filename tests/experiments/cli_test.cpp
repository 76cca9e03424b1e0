// The program as its users meet it: exit status, what goes to standard output, what goes to standard error.
#include <gmock/gmock.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/data/import.h"
#include "host/data/split.h"
#include "host/data/synthetic.h"
#include "host/eval/protocol.h"
#include "host/guidance/registry.h"
#include "host/scores/score_table.h"
#include "kernels/gates/parts.h"
#include "tests/experiments/cli.h"
#include "tests/host/support.h"
#include "tests/support/process.h"

namespace sllmr {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class Cli : public CliTest {
 protected:
  std::vector<std::string> train_words() const {
    return {"train", "data.path=" + data(), "run_dir=" + (folder_ / "run"), "device=cpu", "train.epochs=2"};
  }
};

TEST_F(Cli, RunsATableOfAnExperimentAndKeepsItsCells) {
  const std::string recipe = folder_ / "recipe.toml", table = folder_ / "table.toml";
  std::ofstream(recipe) << "method = 'none'\n[train]\nepochs = 1\n[data]\npath = '" << data() << "'\n";
  const auto write_table = [&](const std::string& more) {
    std::ofstream(table) << "title = 'A table'\nrecipe = '" << recipe << "'\nmetric = 'test.auc.all'\nout = '"
                         << (folder_ / "runs")
                         << "'\n[[column]]\nname = 'one'\nset = ['device=cpu']\nseeds = [1, 2]\n"
                         << "[[row]]\nname = 'narrow'\nset = ['model.width=32']\nreference = [0.5]\n"
                         << "[[row]]\nname = 'wide'\nset = ['model.width=64']\n"
                         << more;
  };
  write_table("[[cell]]\nrow = 'wide'\ncolumn = 'one'\nset = ['train.lr=0.01']\n");
  const Outcome first = run({"experiment", "run", table});
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("| narrow |"));
  EXPECT_THAT(first.out, HasSubstr("0.5000"));
  EXPECT_THAT(first.out, HasSubstr("over 1 cells"));
  EXPECT_THAT(read_all(folder_ / "runs/wide_one_2/config.toml"), HasSubstr("lr = 0.01"));
  const auto written = std::filesystem::last_write_time(folder_ / "runs/wide_one_2/summary.json");
  EXPECT_EQ(run({"experiment", "run", table}).out, first.out) << "the cells were run again";
  EXPECT_EQ(std::filesystem::last_write_time(folder_ / "runs/wide_one_2/summary.json"), written);

  EXPECT_THAT(run({"experiment", "run", table, "--rows", "wid"}).err, HasSubstr("did you mean 'wide'"));
  EXPECT_THAT(run({"experiment", "run", table, "train.epochs=2"}).err, HasSubstr("another configuration"));
  write_table("[[cell]]\nrow = 'tall'\ncolumn = 'one'\n");
  EXPECT_THAT(run({"experiment", "run", table}).err, HasSubstr("'tall'"));
  write_table("colour = 1\n");
  const Outcome unknown = run({"experiment", "run", table});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.err, HasSubstr("table.toml:"));
  EXPECT_THAT(unknown.err, HasSubstr("unknown key 'colour'"));
  write_table("[cell]\nrow = 'wide'\ncolumn = 'one'\n");
  EXPECT_THAT(run({"experiment", "run", table}).err, HasSubstr("must be tables: [[cell]]"));
}

TEST_F(Cli, StatsPrintsOneJsonObjectAndNothingElse) {
  const Outcome outcome = run({"data", "stats", data(), "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json stats = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(stats["users"], 300);
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_F(Cli, TrainsEvaluatesAndPrintsNoProgressInAPipe) {
  const Outcome trained = run(train_words());
  EXPECT_EQ(trained.status, 0) << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("auc"));
  EXPECT_THAT(trained.err, IsEmpty());
  const Outcome evaluated =
      run({"eval", folder_ / "run", "--json", "--predictions", folder_ / "predictions.tsv"});
  EXPECT_EQ(evaluated.status, 0) << evaluated.err;
  const nlohmann::json summary = nlohmann::json::parse(read_all(folder_ / "run/summary.json"));
  EXPECT_EQ(nlohmann::json::parse(evaluated.out), summary["test"]);
  const std::string rows = read_all(folder_ / "predictions.tsv");
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 1 + summary["test"]["n"]["all"].get<int>());
}

TEST_F(Cli, ScoresAreMadeAndTrainedWith) {
  const std::string table = folder_ / "scores.tsv";
  const Outcome scored = run({"llm", "score", "--data", data(), "--scorer", "lexical", "--out", table});
  EXPECT_EQ(scored.status, 0) << scored.err;
  std::vector<std::string> words = train_words();
  words.insert(words.end(), {"llm.scorer=file", "llm.scores=" + table, "--json"});
  const Outcome trained = run(words);
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_THAT(nlohmann::json::parse(trained.out)["llm"]["scorer"].get<std::string>(),
              HasSubstr("scores.tsv"));
}

TEST_F(Cli, CompareTabulatesMethodsAndSeedsAndKeepsFinishedRuns) {
  const std::string recipe = folder_ / "recipe.toml";
  std::ofstream(recipe) << "[data]\npath = \"" << data() << "\"\n[train]\nepochs = 2\n";
  const std::vector<std::string> words = {"compare", "--methods", "none,agreement", "--seeds",  "1,2",
                                          recipe,    "--out",     folder_ / "runs", "threads=1"};
  const Outcome first = run(words);
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_THAT(first.out, testing::AllOf(HasSubstr("| none |"), HasSubstr("| agreement |"), HasSubstr("±")));
  const auto written = std::filesystem::last_write_time(folder_ / "runs/agreement_2/summary.json");
  EXPECT_EQ(run(words).out, first.out);
  EXPECT_EQ(std::filesystem::last_write_time(folder_ / "runs/agreement_2/summary.json"), written);
  EXPECT_THAT(run({"compare", recipe, "seed=3", "--out", folder_ / "x"}).err, HasSubstr("--seeds"));
}

/// Neither command puts runs of two data sets, or of two tables of scores, into one table.
TEST_F(Cli, StoredRunsOfOtherDataOrScoresAreNotReused) {
  const std::string recipe = folder_ / "recipe.toml", table = folder_ / "table.toml",
                    scores = folder_ / "s.tsv";
  std::ofstream(recipe) << "[data]\npath = '" << data()
                        << "'\n[train]\nepochs = 1\n[llm]\nscorer = 'file'\nscores = '" << scores << "'\n";
  std::ofstream(table) << "title = 't'\nrecipe = '" << recipe << "'\nmetric = 'test.auc.all'\nout = '"
                       << (folder_ / "table")
                       << "'\n[[column]]\nname = 'c'\nset = ['threads=1', 'device=cpu']\nseeds = [1]\n"
                          "[[row]]\nname = 'r'\nset = ['method=global']\n";
  ASSERT_EQ(run({"llm", "score", "--data", data(), "--scorer", "lexical", "--out", scores}).status, 0);
  const auto compare = [&](const char* methods, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"compare", recipe, "threads=1", "device=cpu", "--methods", methods, "--seeds",
                               "1", "--out", folder_ / "compared"});
    return run(more);
  };
  const Outcome first = compare("none,global");
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_THAT(first.out, testing::AllOf(HasSubstr("data "), HasSubstr("scores ")));
  ASSERT_EQ(run({"experiment", "run", table}).status, 0);
  EXPECT_THAT(compare("none", {"threads=2"}).err, HasSubstr("threads was 1, is 2"))
      << "fused training is no other way";

  // Scores made again, with another seed: not for the run that reads none.
  ASSERT_EQ(
      run({"llm", "score", "--data", data(), "--scorer", "lexical", "--seed", "2", "--out", scores}).status,
      0);
  EXPECT_EQ(compare("none").status, 0);
  for (const Outcome& outcome : {compare("none,global,hinge"), run({"experiment", "run", table})}) {
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, testing::AllOf(HasSubstr("holds a run of other data"), HasSubstr("LLM scores"),
                                            HasSubstr("choose another folder")));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "compared/hinge_1")) << "said before anything is trained";

  SyntheticOptions other;
  other.users = 300;
  other.items = 200;
  other.topics = 5;
  other.seed = 9;
  save_recbole(synthetic_dataset(other), folder_.path());
  EXPECT_THAT(compare("none").err,
              testing::AllOf(HasSubstr("holds a run of other data"), HasSubstr("the data at")));

  // A run of a program that counted otherwise.
  const std::string path = folder_ / "compared/none_1/summary.json";
  nlohmann::json summary = nlohmann::json::parse(read_all(path));
  summary["numbers_version"] = "0";
  std::ofstream(path) << summary;
  EXPECT_THAT(compare("none").err, HasSubstr("another version of the program"));
}

TEST_F(Cli, TablesThatLeakStopBeforeAnythingIsTrained) {
  const Dataset dataset = load_dataset(data());
  const Split split = leave_one_out(dataset);
  std::vector<LlmScore> scores;
  for (Id user = 1; user < dataset.users.rows(); ++user) {
    if (split.test[user] != 0) scores.push_back({user, split.test[user], 1.0F});
  }
  const std::string leak = folder_ / "leak.tsv", recipe = folder_ / "recipe.toml",
                    table = folder_ / "table.toml";
  write_scores(leak, make_score_table(dataset, scores, "x"), dataset, false);
  std::ofstream(recipe) << "[data]\npath = '" << data() << "'\n[llm]\nscorer = 'file'\nscores = '" << leak
                        << "'\n";
  std::ofstream(table) << "title = 't'\nrecipe = '" << recipe << "'\nmetric = 'test.auc.all'\nout = '"
                       << (folder_ / "runs") << "'\n[[column]]\nname = 'c'\nseeds = [1, 2]\n"
                       << "[[row]]\nname = 'none'\nset = ['method=none']\n[[row]]\nname = 'global'\nset = "
                          "['method=global']\n";
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"train", recipe, "run_dir=" + (folder_ / "runs")},
           {"compare", recipe, "--methods", "none,global", "--out", folder_ / "runs"},
           {"experiment", "run", table}}) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 1) << words[0];
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_THAT(outcome.err,
                testing::AllOf(HasSubstr("leak.tsv: leak: 300 of"), HasSubstr("llm.allow_leak=true")));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "runs")) << words[0];
  }
}

TEST_F(Cli, ScoresFromAPipeAreRefusedWhereSeveralRunsReadThem) {
  const std::string pipe = folder_ / "pipe", recipe = folder_ / "recipe.toml";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::ofstream(recipe) << "[data]\npath = '" << data() << "'\n[llm]\nscorer = 'file'\nscores = '" << pipe
                        << "'\n";
  const Outcome outcome = run({"compare", recipe, "--methods", "global", "--out", folder_ / "runs"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("is a pipe"));
}

/// Inputs stay as they are; so does what no such command made; a command's own outputs are made anew.
TEST_F(Cli, OutputsDestroyNothing) {
  ASSERT_EQ(run(train_words()).status, 0);
  const std::string scores = folder_ / "s.tsv", run_dir = folder_ / "run";
  const std::vector<std::string> score = {"llm", "score", "--data", data(), "--scorer", "lexical", "--out"},
                                 report = {"llm", "report", "--data", data(), "--scores", scores, "--out"},
                                 import_scores = {"llm", "import", scores, "--data", data(), "--out"},
                                 import_data = {"data", "import", data(), "--out"},
                                 predict = {"eval", run_dir, "--predictions"};
  const auto outcome = [&](std::vector<std::string> words, const std::string& out, bool force = false) {
    words.push_back(out);
    if (force) words.emplace_back("--force");
    return run(words);
  };
  ASSERT_EQ(outcome(score, scores).status, 0);

  const auto refused = [&](const std::vector<std::string>& words, const std::string& out,
                           const std::string& file) {
    const std::string before = read_all(file);
    for (const bool force : {false, true}) {
      const Outcome refusal = outcome(words, out, force);
      EXPECT_EQ(refusal.status, 1) << words[0] << out;
      EXPECT_THAT(refusal.err, HasSubstr("is read by this command"));
      EXPECT_EQ(read_all(file), before) << words[0] << out;
    }
  };
  const std::string inter = data() + ".inter", item = data() + ".item";
  refused(import_data, folder_.path(), inter);
  refused(score, inter, inter);
  refused(predict, item, item);
  refused(predict, run_dir + "/summary.json", run_dir + "/summary.json");
  refused(import_scores, scores, scores);

  struct Output {
    const std::vector<std::string>& words;
    std::string out, file;
  };
  for (const Output& each : std::vector<Output>{{score, folder_ / "t.tsv", folder_ / "t.tsv"},
                                                {score, folder_ / "u.tsv", folder_ / "u.tsv.json"},
                                                {import_scores, folder_ / "v.tsv", folder_ / "v.tsv"},
                                                {report, folder_ / "r", folder_ / "r/report.md"},
                                                {import_data, folder_ / "d", folder_ / "d/synthetic.item"},
                                                {predict, folder_ / "p.tsv", folder_ / "p.tsv"}}) {
    std::filesystem::create_directories(std::filesystem::path(each.file).parent_path());
    std::ofstream(each.file) << "mine\n";
    const Outcome refusal = outcome(each.words, each.out);
    EXPECT_EQ(refusal.status, 1) << each.file;
    EXPECT_THAT(refusal.err, HasSubstr("give --force")) << each.file;
    EXPECT_EQ(read_all(each.file), "mine\n");
    EXPECT_EQ(outcome(each.words, each.out, true).status, 0) << each.file;
    EXPECT_NE(read_all(each.file), "mine\n");
    EXPECT_EQ(outcome(each.words, each.out).status, 0) << each.file << " is its own now";
  }
}

TEST_F(Cli, DemoReplacesRunsOfDemosAlone) {
  const std::string out = folder_ / "demo";
  const auto demo = [&] {
    return run({"demo", "--data", data(), "--epochs", "1", "--out", out, "--device", "cpu"});
  };
  ASSERT_EQ(
      run({"train", "data.path=" + data(), "run_dir=" + out + "/global", "train.epochs=1", "device=cpu"})
          .status,
      0);
  const std::string before = read_all(out + "/global/summary.json");
  const Outcome refusal = demo();
  EXPECT_EQ(refusal.status, 1);
  EXPECT_THAT(refusal.err, HasSubstr("choose another --out"));
  EXPECT_EQ(read_all(out + "/global/summary.json"), before);
  std::filesystem::remove_all(out + "/global");
  std::filesystem::create_directories(out + "/none");
  std::ofstream(out + "/none/notes.txt") << "mine";
  ASSERT_EQ(demo().status, 0);
  ASSERT_EQ(demo().status, 0) << "its own runs are made anew";
  EXPECT_EQ(read_all(out + "/none/notes.txt"), "mine");
}

TEST_F(Cli, DemoComparesThreeMethods) {
  const Outcome outcome =
      run({"demo", "--data", data(), "--epochs", "2", "--out", folder_ / "demo", "--device", "cpu"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  for (const char* word : {"none", "global", "agreement", "mean gate", "stand-in"}) {
    EXPECT_THAT(outcome.out, HasSubstr(word));
  }
}

TEST_F(Cli, ListsEveryGatePart) {
  const Outcome outcome = run({"gates", "list"});
  for (const auto* parts : {&gate_rules(), &gate_objectives()}) {
    for (const GatePart& part : *parts) EXPECT_THAT(outcome.out, HasSubstr(std::string(part.name)));
  }
  for (const UncertaintyInfo& info : kUncertainties) {
    EXPECT_THAT(outcome.out, HasSubstr(std::string(info.name)));
    EXPECT_THAT(outcome.out, HasSubstr(std::string(info.summary)));
  }
}

TEST_F(Cli, ListsEveryMethodMetricAndProtocol) {
  const std::string methods = run({"methods"}).out, figures = run({"metrics"}).out;
  for (const GuidanceInfo& info : guidance_methods()) {
    EXPECT_THAT(methods, HasSubstr(std::string(info.summary)));
    for (const std::string& word : info.words) EXPECT_THAT(methods, HasSubstr(word));
    for (const PartKey& key : info.keys) EXPECT_THAT(methods, HasSubstr(key.name));
  }
  for (const Metric& metric : metrics()) EXPECT_THAT(figures, HasSubstr(std::string(metric.summary)));
  EXPECT_THAT(figures, HasSubstr("in nats; lower is better\n"));
  EXPECT_THAT(figures, HasSubstr("among the first K?\n"));
  for (const Protocol& protocol : protocols()) {
    EXPECT_THAT(figures, HasSubstr("eval.protocol=" + std::string(protocol.name)));
  }
}

TEST_F(Cli, ListsEveryOptimizer) {
  const std::string optimizers = run({"optimizers"}).out;
  for (const OptimizerInfo& info : kOptimizers) {
    EXPECT_THAT(optimizers, HasSubstr(std::string(info.name)));
    EXPECT_THAT(optimizers, HasSubstr(std::string(info.summary)));
  }
}

TEST_F(Cli, DevicesAndConfigAreListed) {
  EXPECT_THAT(run({"devices"}).out, HasSubstr("cpu"));
  EXPECT_THAT(run({"config"}).out, HasSubstr("llm.lambda"));
}

TEST_F(Cli, TablesOfRunsAreCheckedBeforeAnyIsTrained) {
  const auto compare = [this](std::vector<std::string> words) {
    words.insert(words.begin(), {"compare", "experiments/recipes/mf_beauty.toml", "data.path=" + data()});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 1) << outcome.out;
    return outcome.err;
  };
  const std::string out = folder_ / "runs";
  EXPECT_THAT(compare({"--methods", "none,globl", "--out", out}), HasSubstr("did you mean 'global'"));
  EXPECT_THAT(compare({"--methods", "none,none", "--out", out}),
              HasSubstr("--methods: name each value once"));
  EXPECT_THAT(compare({"--seeds", "1,1", "--out", out}), HasSubstr("--seeds: name each value once"));
  EXPECT_THAT(compare({"--out", ""}), HasSubstr("--out"));
  EXPECT_THAT(compare({"--out", out, "threads=100000"}), HasSubstr("an integer in [0, 1024]"));
  EXPECT_THAT(compare({"--out", out, "seed=3"}), HasSubstr("'seed=3' cannot be overridden here"));

  const std::string table = folder_ / "table.toml";
  const auto experiment = [&](const std::string& text, std::vector<std::string> words = {}) {
    std::ofstream(table)
        << "title = 't'\nrecipe = 'experiments/recipes/mf_beauty.toml'\nmetric = 'test.auc.all'\n"
        << "out = '" << out << "'\n"
        << text;
    words.insert(words.begin(), {"experiment", "run", table, "data.path=" + data()});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 1) << outcome.out;
    return outcome.err;
  };
  const std::string column = "[[column]]\nname = 'c'\nseeds = [1]\n", row = "[[row]]\nname = 'r'\n";
  EXPECT_THAT(experiment(column + row + row), HasSubstr("two rows are called 'r'"));
  EXPECT_THAT(experiment(column + row, {"seed=7"}), HasSubstr("'seed=7' cannot be overridden here"));
  EXPECT_THAT(experiment(column + row + "set = ['run_dir=x']\n"), HasSubstr("'run_dir=x' cannot"));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Cli, MethodsThatMfsKernelsDoNotKnowAreToldBeforeAnyIsTrained) {
  std::ofstream(folder_ / "mf.toml") << "[data]\npath = \"" << data() << "\"\n";
  const auto compare = [this](std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"compare", folder_ / "mf.toml", "device=cpu", "train.epochs=1", "eval.max_users=5",
                  "--methods", "none,weights", "--seeds", "1", "--out", folder_ / "table"});
    return run(words);
  };
  const Outcome fused = compare({});
  EXPECT_EQ(fused.status, 1);
  EXPECT_THAT(fused.err, testing::AllOf(HasSubstr("method=weights"), HasSubstr("train.mode=exact")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "table/none_1"));
  const Outcome exact = compare({"train.mode=exact", "train.optimizer=adam"});
  EXPECT_EQ(exact.status, 0) << exact.err;
  EXPECT_THAT(exact.err, HasSubstr("warning: some of these methods train mf by its own kernels"));
}

TEST_F(Cli, ADamagedSummaryIsAnErrorThatNamesIt) {
  const std::string folder = folder_ / "runs/none_1";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/summary.json") << "{";
  const Outcome outcome = run({"compare", "experiments/recipes/mf_beauty.toml", "data.path=" + data(),
                               "--methods", "none", "--seeds", "1", "--out", folder_ / "runs"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("none_1/summary.json: not a run's summary"));
}

TEST_F(Cli, EvalRefusesACheckpointOfAnotherBackbone) {
  ASSERT_EQ(run(train_words()).status, 0);
  const std::string path = folder_ / "run/config.toml";
  std::string text = read_all(path);
  const std::size_t name = text.find("name = 'mf'");
  ASSERT_NE(name, std::string::npos);
  std::ofstream(path) << text.replace(name, 11, "name = 'lightgcn'");
  const Outcome outcome = run({"eval", folder_ / "run"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("describes another model (model.name"));
}

TEST_F(Cli, EvalRefusesAnotherHistoryThanTheModels) {
  std::vector<std::string> words = train_words();
  words.insert(words.end(), {"model.name=din", "model.width=8", "train.mode=exact", "train.optimizer=adam",
                             "train.loss=bce", "train.epochs=1", "data.max_history=7", "eval.max_users=5"});
  ASSERT_EQ(run(words).status, 0);
  const std::string path = folder_ / "run/config.toml";
  std::string text = read_all(path);
  const std::size_t length = text.find("max_history = 7");
  ASSERT_NE(length, std::string::npos);
  std::ofstream(path) << text.replace(length, 15, "max_history = 3");
  const Outcome outcome = run({"eval", folder_ / "run"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("data.max_history was 7, is 3"));
}

TEST_F(Cli, ANegativeBudgetIsRefused) {
  const Outcome outcome =
      run({"llm", "score", "--data", data(), "--out", folder_ / "s", "--scorer", "lexical", "--users=-5"});
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("'-5' is not an integer in [0, "));
}

TEST_F(Cli, BadInputIsOneLineOnStandardErrorAndStatusOne) {
  const auto failed = [](std::vector<std::string> words) {
    const Outcome outcome = run(std::move(words));
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(failed({"data", "stats", folder_ / "missing"}), HasSubstr("missing"));
  EXPECT_THAT(failed({"train", folder_ / "missing.toml"}), HasSubstr("missing.toml"));
  std::vector<std::string> words = train_words();
  words.push_back("llm.lamda=1");
  EXPECT_THAT(failed(words), HasSubstr("did you mean 'llm.lambda'"));
  words.back() = "train.epochs=many";
  EXPECT_THAT(failed(words), HasSubstr("train.epochs"));
  words.back() = "run_dir=/proc/none/run";
  EXPECT_THAT(failed(words), HasSubstr("/proc/none"));
  words.back() = "device=tpu";
  EXPECT_THAT(failed(words), HasSubstr("device"));
  EXPECT_THAT(failed({"train", "run_dir=" + (folder_ / "x")}), HasSubstr("data.path"));
  EXPECT_THAT(failed({"eval", folder_ / "nothing"}), HasSubstr("nothing"));
  EXPECT_THAT(failed({"llm", "prompt", "mine.toml"}), HasSubstr("--data"));
  words.back() = "model.name=" + std::string(100'000, 'x');
  const std::string long_value = failed(words);
  EXPECT_THAT(long_value,
              testing::AllOf(HasSubstr("model.name"), HasSubstr("xxx [...] xxx"), HasSubstr("deepfm")));
  EXPECT_LT(long_value.size(), 4000);
}

TEST_F(Cli, OutputThatIsLostIsAFailure) {
  ASSERT_EQ(run(train_words()).status, 0);
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--help"}, {"gates", "list"}, {"data", "stats", data()}, {"eval", folder_ / "run"}}) {
    EXPECT_EQ(Process(words).wait(), 0) << words[0];
    const int status = Process(words, "/dev/full").wait();
    ASSERT_TRUE(WIFEXITED(status)) << words[0];
    EXPECT_EQ(WEXITSTATUS(status), 1) << words[0];
  }
}

/// Exact training that takes a while, since every epoch stores a checkpoint; resumed to the end.
class Resuming : public Cli, public testing::WithParamInterface<int> {};

TEST_P(Resuming, AStoppedRunEndsWithTheSameBitsAsAWholeOne) {
  const auto words = [this](const std::string& name) {
    return std::vector<std::string>{
        "train",          "data.path=" + data(),     "run_dir=" + (folder_ / name),
        "device=cpu",     "train.mode=exact",        "train.optimizer=lazy_adam",
        "train.lr=0.001", "train.batch_size=32",     "train.epochs=60",
        "threads=1",      "train.checkpoint_every=1"};
  };
  const std::string checkpoint = folder_ / "stopped/model.safetensors";
  const int status =
      Process(words("stopped")).signal_when([&] { return std::filesystem::exists(checkpoint); }, GetParam());
  ASSERT_NE(status, -1);
  if (GetParam() == SIGINT) {
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 130);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "stopped/summary.json")) << "it ended before the signal";
  std::vector<std::string> again = words("stopped");
  again.emplace_back("--resume");
  const Outcome resumed = run(again);
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  const Outcome whole = run(words("whole"));
  ASSERT_EQ(whole.status, 0) << whole.err;
  EXPECT_EQ(read_all(folder_ / "stopped/model.safetensors"), read_all(folder_ / "whole/model.safetensors"));
  EXPECT_EQ(read_all(folder_ / "stopped/guidance.jsonl"), read_all(folder_ / "whole/guidance.jsonl"));
}
INSTANTIATE_TEST_SUITE_P(Signals, Resuming, testing::Values(SIGKILL, SIGINT),
                         [](const auto& test) { return test.param == SIGINT ? "CtrlC" : "Kill"; });

TEST_F(Cli, ByDefaultCheckpointsAreSecondsApartAndCtrlCWritesOne) {
  const std::string checkpoint = folder_ / "run/model.safetensors";
  bool early = true;
  const int status =
      Process({"train", "data.path=" + data(), "run_dir=" + (folder_ / "run"), "device=cpu",
               "train.epochs=1000000", "threads=1"})
          .signal_when(
              [&] {
                early = std::filesystem::exists(checkpoint);
                return read_all(folder_ / "run/metrics.jsonl").find("epoch") != std::string::npos;
              },
              SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(early);
  EXPECT_TRUE(std::filesystem::exists(checkpoint));
}

TEST_F(Cli, AnUnknownCommandIsRefused) {
  EXPECT_NE(run({"trian"}).status, 0);
}

}  // namespace
}  // namespace sllmr
