// results.json as `compare` and `experiment run` leave it, and the columns that --metrics asks for.
#include <gmock/gmock.h>

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <thread>

#include "experiments/results/figures.h"
#include "host/base/file_lock.h"
#include "host/runs/training.h"
#include "tests/experiments/cli.h"
#include "tests/support/process.h"

namespace sllmr {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class ResultsCli : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    write_recipe(1);
    std::ofstream(table_) << "title = 'A table'\nrecipe = '" << recipe_
                          << "'\nmetric = 'test.auc.cold'\nout = '" << out_
                          << "'\n[[column]]\nname = 'short'\nset = ['train.epochs=1']\nseeds = [1, 2]\n"
                             "[[column]]\nname = 'long'\nset = ['train.epochs=2']\nseeds = [1]\n"
                             "[[row]]\nname = 'plain'\nset = ['method=none']\nreference = [0.5, 0.625]\n"
                             "[[row]]\nname = 'guided'\nset = ['method=agreement']\n";
  }
  void write_recipe(int epochs) const {
    std::ofstream(recipe_) << "device = 'cpu'\nthreads = 1\n[data]\npath = '" << data()
                           << "'\n[train]\nepochs = " << epochs << "\ncheckpoint_every = 1\n";
  }
  std::vector<std::string> compare_words(std::vector<std::string> more = {},
                                         const std::string& seeds = "1,2") const {
    more.insert(more.begin(),
                {"compare", recipe_, "--methods", "none,agreement", "--seeds", seeds, "--out", out_});
    return more;
  }
  json results() const { return json::parse(read_all(results_)); }
  /// The figure in summary.json of the run folder.
  json stored(const std::string& run, const std::string& pointer) const {
    return json::parse(read_all(out_ + "/" + run + "/summary.json")).at(json::json_pointer(pointer));
  }

  std::string recipe_ = folder_ / "recipe.toml", table_ = folder_ / "table.toml", out_ = folder_ / "runs",
              results_ = out_ + "/results.json";
};

/// Names and types of all that a value is made of: "cells[].value" -> {"number", "null"}.
void add_fields(const json& value, const std::string& name,
                std::map<std::string, std::set<std::string>>& fields) {
  if (value.is_object()) {
    for (const auto& [key, member] : value.items())
      add_fields(member, name.empty() ? key : name + "." + key, fields);
  } else if (value.is_array()) {
    for (const json& element : value) add_fields(element, name + "[]", fields);
  } else {
    fields[name].insert(value.is_number_integer() ? "integer" : value.type_name());
  }
}

/// Name and type of each field that docs/results.md lists.
std::map<std::string, std::string> documented_fields() {
  std::map<std::string, std::string> fields;
  const std::string text = read_all("docs/results.md");
  const std::regex line(R"(\n\| `([^`]+)` \| ([^|]+) \|)");
  for (std::sregex_iterator each(text.begin(), text.end(), line), end; each != end; ++each) {
    EXPECT_TRUE(fields.emplace((*each)[1], (*each)[2]).second) << (*each)[1] << " is listed twice";
  }
  return fields;
}

TEST_F(ResultsCli, TheDocumentedFieldsAreTheWrittenOnes) {
  ASSERT_EQ(run({"experiment", "run", table_}).status, 0);
  std::map<std::string, std::set<std::string>> written;
  add_fields(results(), "", written);
  const std::map<std::string, std::string> documented = documented_fields();
  ASSERT_FALSE(documented.empty());
  for (const auto& [name, types] : written) {
    ASSERT_TRUE(documented.contains(name)) << name << " is not in docs/results.md";
    const std::string& told = documented.at(name);
    for (const std::string& type : types) {
      EXPECT_TRUE(told == type || told == type + " or null" || (type == "null" && told.ends_with(" or null")))
          << name << " is of type " << type << ", docs/results.md says " << told;
    }
  }
  for (const auto& [name, type] : documented)
    EXPECT_TRUE(written.contains(name)) << name << " is not written";
}

TEST_F(ResultsCli, TheDocumentedLinesOfPandasReadThem) {
  if (std::system("python3 -c 'import pandas' 2>/dev/null") != 0) GTEST_SKIP() << "python3 has no pandas";
  ASSERT_EQ(run({"experiment", "run", table_}).status, 0);
  const std::string text = read_all("docs/results.md"), fence = "```python\n";
  const std::size_t begin = text.find(fence), end = text.find("```", begin + fence.size());
  ASSERT_NE(end, std::string::npos);
  std::ofstream(out_ + "/read.py") << text.substr(begin + fence.size(), end - begin - fence.size())
                                   << "print(len(cells), *cells.columns)\n";
  ASSERT_EQ(std::system(("cd '" + out_ + "' && python3 read.py > printed").c_str()), 0);
  const std::string printed = read_all(out_ + "/printed");
  EXPECT_THAT(printed, testing::AllOf(HasSubstr("guided"), HasSubstr("std"), HasSubstr("cold")));
  EXPECT_THAT(printed, testing::EndsWith(std::to_string(results()["cells"].size()) +
                                         " row column seed metric slice value\n"));
}

TEST_F(ResultsCli, CompareKeepsTheFiguresOfEveryRun) {
  const Outcome first = run(compare_words());
  ASSERT_EQ(first.status, 0) << first.err;
  const json whole = results();
  EXPECT_EQ(whole["complete"], true);
  EXPECT_EQ(whole["metric"], "auc.all");
  EXPECT_EQ(whole["rows"], json({"none", "agreement"}));
  EXPECT_EQ(whole["columns"], json({"recipe"}));
  EXPECT_EQ(whole["published"], json::array());
  ASSERT_EQ(whole["runs"].size(), 4);
  for (const json& each : whole["runs"]) {
    const std::string name = each["row"].get<std::string>() + "_" + each["seed"].dump();
    EXPECT_EQ(each["folder"], out_ + "/" + name);
    for (const char* key : {"data_hash", "commit", "machine", "device", "threads", "config"}) {
      EXPECT_EQ(each[key], stored(name, std::string("/") + key)) << name << key;
    }
    EXPECT_EQ(each["seconds"], stored(name, "/seconds/total"));
    EXPECT_EQ(each["scores_hash"], each["row"] == "none" ? json() : stored(name, "/scores_hash"));
  }
  int tests = 0;
  for (const json& cell : whole["cells"]) {
    const std::string metric = cell["metric"], slice = cell["slice"],
                      name = cell["row"].get<std::string>() + "_" + cell["seed"].dump();
    if (metric.starts_with("guidance.")) {
      if (metric == "guidance.mean_alpha") {
        EXPECT_EQ(cell["value"], stored(name, "/guidance/mean_alpha"));
      }
      continue;
    }
    if (std::string path = metric; path.find('.') != std::string::npos) {  // what the run cost
      std::ranges::replace(path, '.', '/');
      EXPECT_EQ(cell["value"], stored(name, "/" + path)) << name << metric;
      continue;
    }
    if (metric == "parameters") {
      EXPECT_EQ(cell["value"], stored(name, "/parameters")) << name;
      continue;
    }
    EXPECT_EQ(cell["value"], stored(name, "/test/" + metric + "/" + slice)) << name << metric << slice;
    ++tests;
  }
  // n, AUC, and two cut-offs of recall and NDCG, or more; by slice.
  EXPECT_EQ(tests % 12, 0);
  EXPECT_GE(tests, 4 * 6 * 3);

  // Again: every run is reused, and a part of the table is told as that part.
  const auto time = std::filesystem::last_write_time(out_ + "/none_1/summary.json");
  EXPECT_EQ(run(compare_words()).out, first.out);
  EXPECT_EQ(results(), whole);
  ASSERT_EQ(run({"compare", recipe_, "--methods", "none", "--seeds", "2", "--out", out_}).status, 0);
  EXPECT_EQ(results()["runs"].size(), 1);
  EXPECT_EQ(results()["runs"][0], whole["runs"][1]);
  EXPECT_EQ(std::filesystem::last_write_time(out_ + "/none_1/summary.json"), time);
}

TEST_F(ResultsCli, AnExperimentKeepsWhatWasPublishedToo) {
  const Outcome outcome = run({"experiment", "run", table_});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json whole = results();
  EXPECT_EQ(whole["title"], "A table");
  EXPECT_EQ(whole["metric"], "auc.cold");
  EXPECT_EQ(whole["rows"], json({"plain", "guided"}));
  EXPECT_EQ(whole["columns"], json({"short", "long"}));
  EXPECT_EQ(whole["runs"].size(), 6);
  EXPECT_EQ(whole["published"], json::parse(R"(
      [{"row": "plain", "column": "short", "metric": "auc.cold", "value": 0.5},
       {"row": "plain", "column": "long", "metric": "auc.cold", "value": 0.625}])"));
  const double mean = (stored("plain_short_1", "/test/auc/cold").get<double>() +
                       stored("plain_short_2", "/test/auc/cold").get<double>()) /
                      2;
  char text[32];
  std::snprintf(text, sizeof text, "| plain | %.4f ±", mean);
  EXPECT_THAT(outcome.out, HasSubstr(text));
  std::snprintf(text, sizeof text, "| 0.5000 | %+.4f |", mean - 0.5);
  EXPECT_THAT(outcome.out, HasSubstr(text));

  ASSERT_EQ(run({"experiment", "run", table_, "--columns", "long"}).status, 0);
  EXPECT_EQ(results()["published"].size(), 1);
  EXPECT_EQ(results()["published"][0]["value"], 0.625);
}

TEST_F(ResultsCli, TheFastPartOfAnExperimentIsInAFolderOfItsOwn) {
  EXPECT_THAT(run({"experiment", "run", table_, "--fast"}).err, HasSubstr("has no [fast]"));
  std::ofstream(table_, std::ios::app) << "[fast]\nrows = ['guided']\nseeds = [7]\nset = ['train.lr=0.5']\n";
  const Outcome outcome = run({"experiment", "run", table_, "--fast", "--columns", "long"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(out_));
  const json fast = json::parse(read_all(out_ + "-fast/results.json"));
  EXPECT_EQ(fast["rows"], json({"guided"}));
  EXPECT_EQ(fast["columns"], json({"long"}));
  ASSERT_EQ(fast["runs"].size(), 1);
  EXPECT_EQ(fast["runs"][0]["seed"], 7);
  EXPECT_THAT(fast["runs"][0]["config"].get<std::string>(), HasSubstr("lr = 0.5"));
  std::ofstream(table_, std::ios::app) << "more = 1\n";
  EXPECT_THAT(run({"experiment", "run", table_, "--fast"}).err, HasSubstr("unknown key 'more'"));
}

TEST_F(ResultsCli, ExperimentsShareRunsWhateverTheyCallThem) {
  const std::string runs = folder_ / "shared", other = folder_ / "other.toml";
  std::string text = "runs = '" + runs + "'\n" + read_all(table_);
  std::ofstream(table_) << text;
  ASSERT_EQ(run({"experiment", "run", table_}).status, 0);
  const json first = results();
  for (const auto& [name, another] : {std::pair("'plain'", "'bare'"), std::pair("'short'", "'brief'")}) {
    text.replace(text.find(name), std::string(name).size(), another);
  }
  text.replace(text.find(out_), out_.size(), folder_ / "others");
  std::ofstream(other) << text;
  const auto runs_made = [&] {
    return std::distance(std::filesystem::directory_iterator(runs), std::filesystem::directory_iterator());
  };
  EXPECT_EQ(runs_made(), 6);
  ASSERT_EQ(run({"experiment", "run", other}).status, 0);
  EXPECT_EQ(runs_made(), 6);
  const json second = json::parse(read_all(folder_ / "others/results.json"));
  EXPECT_EQ(second["rows"], json({"bare", "guided"}));
  for (std::size_t k = 0; k < 6; ++k) EXPECT_EQ(second["runs"][k]["folder"], first["runs"][k]["folder"]);
  // Other settings are other runs.
  ASSERT_EQ(run({"experiment", "run", other, "train.lr=0.5", "--columns", "long"}).status, 0);
  EXPECT_EQ(runs_made(), 8);
  // What a method has no use for is no other setting.
  std::ofstream(recipe_, std::ios::app) << "[llm]\nlambda = 0.5\n[gate]\nlr = 0.3\n";
  ASSERT_EQ(run({"experiment", "run", other, "--rows", "bare"}).status, 0);
  EXPECT_EQ(runs_made(), 8);
  // --out is for a table that stands alone.
  ASSERT_EQ(run({"experiment", "run", other, "--columns", "long", "--out", folder_ / "alone"}).status, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "alone/bare_long_1/summary.json"));
}

TEST_F(ResultsCli, AnExperimentMayShowSeveralFigures) {
  std::string text = read_all(table_);
  const std::string one = "metric = 'test.auc.cold'", reference = "reference = [0.5, 0.625]";
  text.replace(text.find(one), one.size(), "metric = ['test.auc.cold', 'seconds.epoch']");
  std::ofstream(table_) << text;
  EXPECT_THAT(run({"experiment", "run", table_}).err,
              HasSubstr("2 reference figures for 2 columns and 2 metrics"));
  text.replace(text.find(reference), reference.size(), "reference = [0.5, 0.625, 1, 2]");
  std::ofstream(table_) << text;
  const Outcome outcome = run({"experiment", "run", table_});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\ntest.auc.cold\n\n| "));
  EXPECT_THAT(outcome.out, HasSubstr("\nseconds.epoch\n\n| "));
  ASSERT_EQ(results()["published"].size(), 4);
  EXPECT_EQ(
      results()["published"][3],
      json::parse(R"({"row": "plain", "column": "long", "metric": "seconds.epoch.all", "value": 2.0})"));
}

TEST_F(ResultsCli, TheMetricOfAnExperimentIsAnyNumberOfASummary) {
  const std::string text = read_all(table_);
  const auto with_metric = [&](const std::string& metric) {
    std::ofstream(table_) << std::regex_replace(text, std::regex("test.auc.cold"), metric);
    return run({"experiment", "run", table_, "--columns", "long"});
  };
  EXPECT_THAT(with_metric("test.acu.all").err,
              testing::AllOf(HasSubstr("'test.acu.all'"), HasSubstr("did you mean 'auc.all'")));
  EXPECT_FALSE(std::filesystem::exists(out_)) << "said before anything is trained";
  for (const char* metric : {"seconds.train", "loss"}) {
    const Outcome outcome = with_metric(metric);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr(std::string(metric) + " of "));
    const json cell = results()["cells"].back();
    EXPECT_EQ(cell["metric"], metric);
    EXPECT_EQ(cell["value"],
              stored("guided_long_1", metric == std::string("loss") ? "/loss" : "/seconds/train"));
  }
  EXPECT_EQ(with_metric("guidance.mean_alpha").status, 0) << "which one of the rows lacks";
  std::ofstream(table_) << std::regex_replace(text, std::regex("0\\.625"), "nan");
  EXPECT_THAT(run({"experiment", "run", table_}).err,
              HasSubstr("'plain' has a reference figure that is not"));
  std::filesystem::remove_all(out_);
  for (const char* unknown : {"seconds.trian", "config", "llm.leakage.allowed"}) {
    EXPECT_THAT(with_metric(unknown).err, HasSubstr("no figure '" + std::string(unknown) + "'"));
  }
  EXPECT_FALSE(std::filesystem::exists(out_)) << "said before anything is trained";
}

/// What the metric of an experiment is checked against is what summaries have.
TEST_F(ResultsCli, NumbersOfSummariesAreKnownBeforeTheRun) {
  const std::string scores = folder_ / "s.tsv";
  ASSERT_EQ(run({"llm", "score", "--data", data(), "--scorer", "lexical", "--out", scores}).status, 0);
  const std::vector<std::string> deep = {
      "model.name=deepfm",  "model.width=8",        "train.loss=bce",
      "train.mode=exact",   "train.optimizer=adam", "eval.protocol=ctr",
      "train.eval_every=1", "llm.scorer=file",      "llm.scores=" + scores};
  for (const std::vector<std::string>& more : {std::vector<std::string>{"method=none"}, deep}) {
    std::vector<std::string> words = {"data.path=" + data(),
                                      "run_dir=" + (folder_ / std::to_string(more.size())), "device=cpu",
                                      "train.epochs=1"};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<std::string> train = words;
    train.insert(train.begin(), {"train", "--json"});
    const Outcome outcome = run(train);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    std::vector<std::string> told;
    const json numbers = json::parse(outcome.out).flatten();
    for (const auto& [pointer, value] : numbers.items()) {
      std::string path = pointer.substr(1);
      std::ranges::replace(path, '/', '.');
      const std::string top = path.substr(0, path.find('.'));
      if (value.is_number() && top != "test" && top != "guidance" && top != "machine") told.push_back(path);
    }
    EXPECT_THAT(summary_numbers(load_config("", words)), testing::UnorderedElementsAreArray(told));
  }
}

TEST_F(ResultsCli, RowsOfCompareHaveSettingsOfTheirOwn) {
  const auto compare = [this](const std::string& methods, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"compare", recipe_, "--methods", methods,
                                      "--seeds", "1",     "--out",     out_};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const std::string methods = "none,agreement,agreement:llm.lambda=.5:gate.rule=mlp,global:llm.lambda=0.50";
  // Table-wide settings go to those who have a use for them: lambda to agreement, margin not to none.
  const Outcome first = compare(methods, {"llm.lambda=0.3", "llm.margin=0.1", "gate.price=0.2"});
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(results()["rows"],
            json({"none", "agreement", "agreement llm.lambda=0.5 gate.rule=mlp", "global llm.lambda=0.5"}));
  const auto config = [&](const std::string& folder) {
    return parse_config(stored(folder + "_1", "/config").get<std::string>(), folder);
  };
  EXPECT_EQ(config("none").llm.lambda, LlmConfig().lambda);
  EXPECT_FALSE(config("none").is_set("llm.margin"));
  EXPECT_EQ(config("agreement").llm.lambda, 0.3);
  EXPECT_EQ(config("agreement").gate.price, 0.2);
  const Config own = config("agreement_llm.lambda=0.5_gate.rule=mlp");
  EXPECT_EQ(own.llm.lambda, 0.5);
  EXPECT_EQ(own.llm.margin, 0.1);
  EXPECT_EQ(own.gate.rule, "mlp");
  EXPECT_EQ(config("global_llm.lambda=0.5").llm.lambda, 0.5);
  EXPECT_FALSE(config("global_llm.lambda=0.5").is_set("gate.price"));

  // Another table reuses the runs that it has, whatever it says to others.
  const auto time = std::filesystem::last_write_time(out_ + "/none_1/summary.json");
  const Outcome again = compare("none,global:llm.lambda=.5:llm.margin=.1,hinge", {"llm.lambda=0.4"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(std::filesystem::last_write_time(out_ + "/none_1/summary.json"), time);
  EXPECT_EQ(compare(methods, {"llm.lambda=0.3", "llm.margin=0.1", "gate.price=0.2"}).out, first.out);
  // One that none uses any more has not changed it either, in a recipe as on the command line.
  std::ofstream(recipe_, std::ios::app) << "[llm]\nlambda = 0.9\n[kd]\nweight = 0.5\n";
  EXPECT_EQ(compare("none").status, 0);
  EXPECT_THAT(compare("hinge").err, HasSubstr("llm.lambda was 0.4, is 0.9"));
}

TEST_F(ResultsCli, SettingsThatNoRunOfTheTableUsesAreErrors) {
  const auto error = [this](const std::string& methods, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"compare", recipe_, "--methods", methods,
                                      "--seeds", "1",     "--out",     out_};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 1) << methods;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(error("none,global", {"gate.price=0.2"}),
              HasSubstr("'gate.price=0.2' (command line) does not apply to any of its runs"));
  EXPECT_THAT(error("none,global", {"kd.weight=0.2"}), HasSubstr("which is of method=kd"));
  EXPECT_THAT(error("agreement,global:gate.price=0.2"),
              testing::AllOf(HasSubstr("'gate.price=0.2' (--methods, 'global gate.price=0.2')"),
                             HasSubstr("the rule always has no parameters to learn")));
  EXPECT_THAT(error("none:llm.lamda=1"), HasSubstr("did you mean 'llm.lambda'"));
  EXPECT_THAT(error("global:llm.lambda=.5,global:llm.lambda=0.50"),
              HasSubstr("--methods: name each value once"));
  EXPECT_THAT(error("global:llm.lambda=.5:llm.lambda=.6"), HasSubstr("sets a key twice"));
  EXPECT_THAT(error("global:seed=2"), HasSubstr("'seed=2' cannot be overridden here"));
  EXPECT_THAT(error("global:llm.lambda"), HasSubstr("expected METHOD or METHOD:key=value"));
  EXPECT_THAT(error("none,"), HasSubstr("--methods: 'none,' names nothing"));
  EXPECT_FALSE(std::filesystem::exists(out_)) << "said before anything is trained";
}

TEST_F(ResultsCli, FoldersOfRowsAreNamesOfFiles) {
  // A path as a value: its slash is none of the folder's, and two paths that look alike then are two folders.
  const std::string one = folder_ / "a-s.tsv", two = folder_ / "a:s.tsv";
  for (const std::string& path : {one, two}) {
    ASSERT_EQ(run({"llm", "score", "--data", data(), "--scorer", "lexical", "--out", path}).status, 0);
  }
  const Outcome outcome =
      run({"compare", recipe_, "--methods",
           "global:llm.scorer=file:llm.scores=" + one + ",global:llm.scorer=file:llm.scores=" + two +
               ",none:eval.topk=[3,5]:train.epochs=2",
           "--seeds", "1", "--out", out_});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(out_), {}), 3 + 1);
  EXPECT_EQ(results()["rows"][2], "none eval.topk=[3, 5] train.epochs=2");
}

/// The same in the file of an experiment, and none of its settings is wrong because only a part is asked for.
TEST_F(ResultsCli, SettingsOfAnExperimentGoToTheRunsThatUseThem) {
  const auto with_columns = [&](const std::string& set, const std::string& metric) {
    std::ofstream(table_) << "title = 't'\nrecipe = '" << recipe_ << "'\nmetric = '" << metric << "'\nout = '"
                          << out_ << "'\n[[column]]\nname = 'c'\nset = [" << set << "]\nseeds = [1]\n"
                          << "[[row]]\nname = 'plain'\nset = ['method=none']\n"
                             "[[row]]\nname = 'guided'\nset = ['method=agreement']\n";
  };
  with_columns("'llm.lambda=0.3'", "test.auc.all");
  ASSERT_EQ(run({"experiment", "run", table_, "--rows", "plain"}).status, 0);
  with_columns("'llm.lambda=0.3'", "llm.pairs");
  const Outcome outcome = run({"experiment", "run", table_});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("| plain | - |")) << "it has no such number";
  with_columns("'llm.lambda=0.3', 'kd.weight=0.4'", "test.auc.all");
  EXPECT_THAT(run({"experiment", "run", table_}).err,
              HasSubstr("'kd.weight=0.4' (column 'c') does not apply"));
}

TEST_F(ResultsCli, MetricChoosesTheColumnsOfCompare) {
  const auto compare = [&](const std::string& metrics, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--metrics", metrics});
    return run(compare_words(more, "1"));
  };
  const Outcome unknown = compare("auc,ndgc@20");
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.err, testing::AllOf(HasSubstr("--metrics: "), HasSubstr("did you mean 'ndcg@20'")));
  EXPECT_THAT(compare("ndcg@20", {"eval.protocol=ctr"}).err, HasSubstr("no figure 'ndcg@20'"));
  EXPECT_THAT(compare("ndcg@50").err, HasSubstr("eval.topk"));
  EXPECT_THAT(compare("auc,auc").err, HasSubstr("--metrics: name each value once"));
  EXPECT_THAT(compare("auc,auc.all").err, HasSubstr("--metrics: 'auc' and 'auc.all' are one figure"));
  for (const char* empty : {",", "auc,", ",auc", "auc,,n", ""}) {
    const Outcome outcome = compare(empty);
    EXPECT_EQ(outcome.status, 1) << empty;
    EXPECT_THAT(outcome.err, HasSubstr("--metrics: ")) << empty;
  }
  EXPECT_FALSE(std::filesystem::exists(out_)) << "said before anything is trained";

  const Outcome outcome = compare("ndcg@20,auc.cold,guidance.mean_alpha");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto figure = [&](const char* run, const char* pointer) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4f", stored(run, pointer).get<double>());
    return std::string(text);
  };
  EXPECT_THAT(outcome.out,
              testing::StartsWith(
                  "| method | ndcg@20 | auc.cold | guidance.mean_alpha |\n|---|---|---|---|\n| none | " +
                  figure("none_1", "/test/ndcg@20/all") + " | " + figure("none_1", "/test/auc/cold") +
                  " | - |\n| agreement | " + figure("agreement_1", "/test/ndcg@20/all") + " | " +
                  figure("agreement_1", "/test/auc/cold") + " | " +
                  figure("agreement_1", "/guidance/mean_alpha") + " |\n"));
  EXPECT_EQ(results()["metric"], "ndcg@20.all");
  std::filesystem::remove_all(out_);
  EXPECT_EQ(compare("log_loss.tail", {"eval.protocol=ctr"}).status, 0);
}

TEST_F(ResultsCli, ATableShowsWhatGuidanceCost) {
  const std::string scores = folder_ / "s.tsv";
  ASSERT_EQ(run({"llm", "score", "--data", data(), "--scorer", "lexical", "--out", scores}).status, 0);
  json note = json::parse(read_all(scores + ".json"));
  json& summary = note["run"]["summary"];
  summary["answers"] = 300;
  summary["tokens_in"] = 150000;
  summary["money"] = 0.5;
  summary["answer_seconds"] = 60.25;
  std::ofstream(scores + ".json") << note;
  const Outcome outcome = run(compare_words(
      {"llm.scorer=file", "llm.scores=" + scores, "--metrics",
       "guidance_cost.tokens_in,guidance_cost.money,guidance_cost.seconds,seconds.epoch,parameters"},
      "1"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("| seconds.epoch | over none | parameters | over none |"));
  EXPECT_THAT(outcome.out, HasSubstr("| none | - | - | - | "));
  EXPECT_THAT(outcome.out, HasSubstr("| agreement | 150000 | 0.5000 | 60.2500 | "));
  EXPECT_EQ(stored("agreement_1", "/guidance_cost/tokens_out"), 0);
  EXPECT_EQ(stored("none_1", "/guidance_cost/money"), nullptr);
}

/// What --metrics is checked against is what runs then have.
TEST_F(ResultsCli, NamesOfFiguresAreKnownBeforeTheRun) {
  for (const char* protocol : {"full", "ctr"}) {
    for (const char* method : {"none", "agreement"}) {
      std::vector<std::string> words = {"data.path=" + data(),
                                        std::string("method=") + method,
                                        std::string("eval.protocol=") + protocol,
                                        "run_dir=" + (folder_ / (protocol + std::string(method))),
                                        "device=cpu",
                                        "train.epochs=1"};
      if (protocol == std::string("full")) words.emplace_back("eval.topk=[3, 7]");
      std::vector<std::string> train = words;
      train.insert(train.begin(), {"train", "--json"});
      const Outcome outcome = run(train);
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      std::vector<std::string> names, told;
      for (const FigureName& name : figure_names(load_config("", words))) names.push_back(to_text(name));
      for (const Figure& figure : figures_of(json::parse(outcome.out))) told.push_back(to_text(figure.name));
      EXPECT_THAT(names, testing::UnorderedElementsAreArray(told)) << protocol << method;
      EXPECT_THAT(names, testing::Contains("auc.tail"));
    }
  }
}

TEST_F(ResultsCli, AForeignFileIsNotWrittenOver) {
  std::filesystem::create_directories(out_);
  for (const std::string mine : {"mine\n", R"({"results": [1, 2]})"}) {
    std::ofstream(results_) << mine;
    for (const std::vector<std::string>& words :
         {compare_words(), std::vector<std::string>{"experiment", "run", table_}}) {
      const Outcome refusal = run(words);
      EXPECT_EQ(refusal.status, 1) << words[0];
      EXPECT_THAT(refusal.err, testing::AllOf(HasSubstr("results.json"), HasSubstr("give --force")));
      EXPECT_EQ(read_all(results_), mine);
    }
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(out_), {}), 1) << "something was trained";
  EXPECT_EQ(run(compare_words({"--force"})).status, 0);
  EXPECT_EQ(results()["complete"], true);
  EXPECT_EQ(run(compare_words()).status, 0) << "it is its own now";
}

TEST_F(ResultsCli, AnErrorLosesNoFinishedRun) {
  ASSERT_EQ(run(compare_words()).status, 0);
  const std::string whole = read_all(results_);
  // A run of another configuration: found before anything is written.
  EXPECT_EQ(run(compare_words({"train.lr=0.001"})).status, 1);
  EXPECT_EQ(read_all(results_), whole);
  // A run that cannot begin, found when its turn comes.
  std::filesystem::remove_all(out_ + "/agreement_1");
  std::filesystem::remove_all(out_ + "/agreement_2");
  std::ofstream(out_ + "/agreement_1") << "in the way";
  const Outcome failed = run(compare_words());
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.err,
              testing::AllOf(HasSubstr("1 of 4 runs failed"), HasSubstr("agreement, recipe, seed 1: ")));
  const json rest = results();
  EXPECT_EQ(rest["complete"], false);
  ASSERT_EQ(rest["runs"].size(), 3) << "also the one whose turn came after";
  EXPECT_EQ(rest["runs"][2]["row"], "agreement");
  EXPECT_EQ(rest["runs"][2]["seed"], 2);
}

/// The words of a comparison of eight runs, by one of two processes, or by one alone.
std::vector<std::string> sharded(std::vector<std::string> words, const std::string& shard) {
  words.insert(words.end(), {"--shard", shard});
  return words;
}

TEST_F(ResultsCli, ProcessesShareAFolder) {
  write_recipe(20);
  const std::vector<std::string> words = compare_words({}, "1,2,3,4");
  const Process other(sharded(words, "2/2"));
  const Process first(sharded(words, "1/2"));
  EXPECT_EQ(first.wait(), 0);
  EXPECT_EQ(other.wait(), 0);
  const std::string together = read_all(results_);
  EXPECT_EQ(results()["complete"], true);
  EXPECT_EQ(results()["runs"].size(), 8);
  const json whole = results();
  for (const json& each : whole["runs"]) {
    const std::string log = read_all(
        fmt::format("{}/{}_{}/metrics.jsonl", out_, each["row"].get<std::string>(), each["seed"].get<int>()));
    EXPECT_EQ(std::ranges::count(log, '\n'), 20) << log;
  }
  EXPECT_FALSE(std::filesystem::exists(out_ + "/.claims"));
  ASSERT_EQ(run(words).status, 0);
  EXPECT_EQ(read_all(results_), together);
}

TEST_F(ResultsCli, WhatAKilledProcessLeavesIsTaken) {
  write_recipe(100);
  const std::vector<std::string> words = compare_words({}, "1,2,3");
  Process killed(sharded(words, "1/2"));
  ASSERT_NE(killed.signal_when(
                [&] { return read_all(out_ + "/none_1/metrics.jsonl").find("epoch") != std::string::npos; },
                SIGKILL),
            -1);
  ASSERT_FALSE(std::filesystem::exists(out_ + "/none_1/summary.json")) << "it ended before the signal";
  ASSERT_EQ(run(sharded(words, "2/2")).status, 0);
  EXPECT_EQ(results()["complete"], true);
  EXPECT_EQ(results()["runs"].size(), 6);
  EXPECT_FALSE(std::filesystem::exists(out_ + "/.claims"));
}

TEST_F(ResultsCli, AShardIsAPartOfAWhole) {
  for (const char* shard : {"0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3", ""}) {
    const Outcome refusal = run(sharded(compare_words(), shard));
    EXPECT_EQ(refusal.status, 1) << shard;
    EXPECT_THAT(refusal.err, HasSubstr("is not I/N")) << shard;
  }
  EXPECT_FALSE(std::filesystem::exists(out_));
}

/// One of two processes has a run that neither can make: it is tried once, and told by both.
TEST_F(ResultsCli, ARunThatFailsIsTriedByOneProcessAlone) {
  write_recipe(20);
  std::filesystem::create_directories(out_);
  std::ofstream(out_ + "/none_1") << "in the way";
  const std::vector<std::string> words = compare_words({}, "1,2");
  const Process other(sharded(words, "2/2"));
  const Outcome first = run(sharded(words, "1/2"));
  EXPECT_EQ(WEXITSTATUS(other.wait()), 1);
  EXPECT_EQ(first.status, 1);
  EXPECT_THAT(first.err,
              testing::AllOf(HasSubstr("error: none, recipe, seed 1: "), HasSubstr("1 of 4 runs failed")));
  EXPECT_EQ(results()["runs"].size(), 3);
  // Once it can be made, the same command makes it, and nothing is left behind.
  std::filesystem::remove(out_ + "/none_1");
  ASSERT_EQ(run(words).status, 0);
  EXPECT_EQ(results()["complete"], true);
  EXPECT_FALSE(std::filesystem::exists(out_ + "/.claims"));
}

/// `sllmr train` claims nothing, but its folder is locked.
TEST_F(ResultsCli, ARunThatSomebodyTrainsIsWaitedFor) {
  write_recipe(20);
  const std::vector<std::string> words = compare_words({}, "1");
  std::filesystem::create_directories(out_ + "/none_1");
  std::optional<FileLock> lock = FileLock::try_take(out_ + "/none_1/.lock");
  ASSERT_TRUE(lock);
  const Process table(words);
  for (int k = 0; k < 2000 && !std::filesystem::exists(out_ + "/agreement_1/summary.json"); ++k)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  lock.reset();
  EXPECT_EQ(table.wait(), 0);
  EXPECT_EQ(results()["runs"].size(), 2);
}

class StoppedTable : public ResultsCli, public testing::WithParamInterface<int> {};

TEST_P(StoppedTable, KeepsWhatIsFinishedAndGoesOn) {
  write_recipe(200);  // each with a checkpoint
  const std::vector<std::string> words = compare_words({}, "1");
  const int status = Process(words).signal_when(
      [&] { return read_all(out_ + "/agreement_1/metrics.jsonl").find("epoch") != std::string::npos; },
      GetParam());
  ASSERT_NE(status, -1) << "it never came so far";
  if (GetParam() == SIGINT) {
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 130);
  }
  ASSERT_FALSE(std::filesystem::exists(out_ + "/agreement_1/summary.json")) << "it ended before the signal";
  const json stopped = results();
  EXPECT_EQ(stopped["complete"], false);
  ASSERT_EQ(stopped["runs"].size(), 1);
  EXPECT_EQ(stopped["runs"][0]["row"], "none");
  EXPECT_EQ(stopped["rows"], json({"none", "agreement"}));
  for (const json& cell : stopped["cells"]) EXPECT_EQ(cell["row"], "none");
  EXPECT_FALSE(stopped["cells"].empty());
  const auto time = std::filesystem::last_write_time(out_ + "/none_1/summary.json");
  const Outcome again = run(words);
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(std::filesystem::last_write_time(out_ + "/none_1/summary.json"), time);
  EXPECT_EQ(results()["complete"], true);
  EXPECT_EQ(results()["runs"].size(), 2);
  EXPECT_EQ(results()["runs"][0], stopped["runs"][0]);
}
/// But for what a clock or the memory says.
json without_costs(json results) {
  std::erase_if(results["cells"].get_ref<json::array_t&>(), [](const json& cell) {
    const std::string metric = cell["metric"];
    return metric.starts_with("seconds") || metric.starts_with("memory") ||
           metric.starts_with("guidance_cost");
  });
  for (json& each : results["runs"]) each.erase("seconds");
  return results;
}

TEST_F(ResultsCli, KilledTenTimesATableIsAsIfItNeverWas) {
  write_recipe(60);
  const std::vector<std::string> words = compare_words({}, "1,2");
  ASSERT_EQ(run(words).status, 0);
  const json whole = without_costs(results());
  std::filesystem::remove_all(out_);
  const auto epochs = [&] {
    std::ptrdiff_t lines = 0;
    for (const char* each : {"none_1", "none_2", "agreement_1", "agreement_2"})
      lines += std::ranges::count(read_all(out_ + "/" + each + "/metrics.jsonl"), '\n');
    return lines;
  };
  for (int k = 1; k <= 10; ++k) {  // of 240 epochs
    const int status = Process(words).signal_when([&] { return epochs() >= 20 * k; }, SIGKILL);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended before signal " << k;
  }
  ASSERT_EQ(run(words).status, 0);
  EXPECT_EQ(without_costs(results()), whole);
}

INSTANTIATE_TEST_SUITE_P(Signals, StoppedTable, testing::Values(SIGKILL, SIGINT),
                         [](const auto& test) { return test.param == SIGINT ? "CtrlC" : "Kill"; });

}  // namespace
}  // namespace sllmr
