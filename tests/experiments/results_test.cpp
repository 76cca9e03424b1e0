// A table of runs as a value, and what shows and stores it, on summaries that no run wrote.
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "experiments/experiment_file.h"
#include "experiments/experiment_plan.h"
#include "experiments/results/markdown.h"
#include "experiments/results/plain_text.h"
#include "experiments/results/result_table.h"
#include "experiments/results/results_file.h"
#include "host/base/text_file.h"
#include "host/config/config.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

json by_slice(const json& all, const json& cold, const json& tail) {
  return {{"all", all}, {"cold", cold}, {"tail", tail}};
}

/// A summary as train() writes it, of a method that reads no scores and tells nothing.
json summary_of(const json& auc) {
  json test{{"protocol", "full"}, {"without_negatives", 0}};
  test["n"] = by_slice(10, 4, 0);
  test["auc"] = auc;
  json summary{{"data_hash", "d1"}, {"feature_hash", "f1"}, {"text_hash", "t1"}, {"scores_hash", "0"}};
  summary["commit"] = "c1";
  summary["machine"] = {{"cpu", "x"}, {"cores", 2}, {"gpu", ""}};
  summary["method"] = "none";
  summary["guidance"] = nullptr;
  summary["device"] = "cpu";
  summary["threads"] = 1;
  summary["seconds"] = {{"total", 2.25}};
  summary["config"] = "seed = 1\n";
  summary["test"] = test;
  return summary;
}

/// The same of the gate, with a mean alpha.
json gated_summary(const json& auc, const json& mean_alpha) {
  json summary = summary_of(auc);
  summary["method"] = "agreement";
  summary["guidance"] = {{"mean_alpha", mean_alpha}};
  summary["llm"] = {{"scorer", "lexical"}};
  summary["scores_hash"] = "s1";
  return summary;
}

RunResult run_of(const json& summary, std::size_t row = 0, std::size_t column = 0, std::uint64_t seed = 1) {
  Config config;
  config.seed = seed;
  config.run_dir = "runs/x";
  RunResult run = run_result(summary, config);
  run.row = row;
  run.column = column;
  return run;
}

/// Two methods with two seeds and one.
ResultTable methods_table() {
  ResultTable table;
  table.title = "Methods of r.toml";
  table.recipe = "r.toml";
  table.rows = {"none", "agreement"};
  table.columns = {"r"};
  table.shown = auc_by_slice();
  table.shown.push_back({{"guidance.mean_alpha"}, "mean alpha"});
  table.runs = {run_of(summary_of(by_slice(0.5, 0.25, nullptr)), 0, 0, 1),
                run_of(summary_of(by_slice(0.75, nullptr, nullptr)), 0, 0, 2),
                run_of(gated_summary(by_slice(0.625, 0.5, nullptr), 0.375), 1, 0, 1)};
  table.complete = true;
  return table;
}

TEST(Figures, AreEveryMetricBySliceAndEveryNumberOfGuidance) {
  const RunResult run = run_of(gated_summary(by_slice(0.5, nullptr, kNaN), 0.375));
  EXPECT_EQ(run.figure({"auc", "all"}), 0.5);
  EXPECT_EQ(run.figure({"auc", "cold"}), std::nullopt);
  EXPECT_EQ(run.figure({"auc", "tail"}), std::nullopt) << "NaN is no figure";
  EXPECT_EQ(run.figure({"n", "cold"}), 4.0);
  EXPECT_EQ(run.figure({"guidance.mean_alpha"}), 0.375);
  EXPECT_EQ(run.figure({"guidance.buckets.cold_tail.mean_alpha"}), std::nullopt)
      << "not told by this summary";
  EXPECT_EQ(run.figure({"ndcg@10", "all"}), std::nullopt);
  std::vector<std::string> names;
  for (const Figure& figure : run.figures) names.push_back(to_text(figure.name));
  EXPECT_THAT(names,
              testing::UnorderedElementsAre(
                  "auc.all", "auc.cold", "auc.tail", "n.all", "n.cold", "n.tail", "guidance.mean_alpha.all",
                  "guidance.mean_weight.all", "guidance.calibration_error.all",
                  "guidance.buckets.warm_head.mean_alpha.all", "guidance.buckets.warm_tail.mean_alpha.all",
                  "guidance.buckets.cold_head.mean_alpha.all", "guidance.buckets.cold_tail.mean_alpha.all",
                  "seconds.epoch.all", "memory.peak_resident_bytes.all", "memory.peak_device_bytes.all",
                  "parameters.all", "guidance_cost.tokens_in.all", "guidance_cost.tokens_out.all",
                  "guidance_cost.money.all", "guidance_cost.seconds.all"));
}

TEST(Figures, AreFoundByTheWordsThatUsersWrite) {
  const std::vector<FigureName> known = {
      {"auc", "all"}, {"auc", "cold"}, {"ndcg@20", "all"}, {"loss.x", "all"}};
  EXPECT_EQ(find_figure("auc", known), known[0]);
  EXPECT_EQ(find_figure("auc.cold", known), known[1]);
  EXPECT_EQ(find_figure("test.auc.cold", known), known[1]);
  EXPECT_EQ(find_figure("loss.x", known), known[3]);
  for (const char* word : {"", "cold", "auc.", "auc.tail", "ndcg@2", "ndcg@200", "test"}) {
    EXPECT_EQ(find_figure(word, known), std::nullopt) << word;
  }
  EXPECT_EQ(nearest_figure("ndgc@20", known), "ndcg@20");
  EXPECT_EQ(nearest_figure("test.auc.colt", known), "auc.cold");
}

TEST(Spread, IsMeanAndSampleDeviationOfWhatIsThere) {
  const std::vector<std::optional<double>> values = {1e6 + 0.25, std::nullopt, 1e6 + 0.5, 1e6 + 1.5};
  const Spread spread = spread_of(values);
  // In long double, from the definition by pairs: sum over i < j of (x_i - x_j)^2 / (n (n - 1)).
  const long double x[] = {1e6L + 0.25L, 1e6L + 0.5L, 1e6L + 1.5L};
  long double pairs = 0;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < i; ++j) pairs += (x[i] - x[j]) * (x[i] - x[j]);
  }
  EXPECT_EQ(spread.n, 3);
  EXPECT_NEAR(spread.mean, static_cast<double>((x[0] + x[1] + x[2]) / 3), 1e-9);
  EXPECT_NEAR(spread.deviation, static_cast<double>(std::sqrt(pairs / 6)), 1e-12);
  const std::vector<std::optional<double>> one = {std::nullopt, 0.5}, none = {std::nullopt};
  EXPECT_EQ(spread_of(one).mean, 0.5);
  EXPECT_TRUE(std::isnan(spread_of(one).deviation));
  EXPECT_EQ(to_text(spread_of(one)), "0.5000");
  EXPECT_TRUE(std::isnan(spread_of(none).mean));
  EXPECT_EQ(to_text(spread_of(none)), "-");
  EXPECT_EQ(to_text(Spread{2, 0.25, 0.125}), "0.2500 ± 0.1250");
  EXPECT_EQ(figure_text(kNaN), "-");
  EXPECT_EQ(figure_text(std::numeric_limits<double>::infinity()), "-");
}

TEST(ResultTable, OfMethodsIsMarkdown) {
  ResultTable table = methods_table();
  EXPECT_EQ(
      figures_markdown(table),
      "| method | AUC all | cold | tail | mean alpha |\n"
      "|---|---|---|---|---|\n"
      "| none | 0.6250 ± 0.1768 | 0.2500 | - | - |\n"
      "| agreement | 0.6250 | 0.5000 | - | 0.3750 |\n"
      "\n"
      "protocol full, mean ± standard deviation over seeds 1, 2; data d1, texts t1, scores s1, commit c1, "
      R"({"cores":2,"cpu":"x","gpu":""})"
      "\n");
  table.runs[1].data_hash = "d2";
  table.runs[2].commit = "c2";
  EXPECT_THAT(provenance_text(table),
              testing::StartsWith("data d1 and d2, texts t1, scores s1, commit c1 and c2"));
}

TEST(ResultTable, OfMethodsIsText) {
  ResultTable table = methods_table();
  table.runs.erase(table.runs.begin() + 1);
  table.runs[0].seconds = 1.75;
  EXPECT_EQ(plain_text(table),
            "method     AUC all    cold  tail  mean alpha  seconds\n"
            "none        0.5000  0.2500     -           -      1.8\n"
            "agreement   0.6250  0.5000     -      0.3750      2.2\n");
}

TEST(ResultTable, OfColumnsIsMarkdownBesideWhatWasPublished) {
  ResultTable table;
  table.title = "A table";
  table.recipe = "r.toml";
  table.rows = {"a", "b", "c"};
  table.columns = {"one", "two"};
  table.shown = {{{"auc", "cold"}, "test.auc.cold"}};
  table.runs = {run_of(summary_of(by_slice(0.5, 0.5, 0.5)), 0, 0),
                run_of(summary_of(by_slice(0.5, 0.25, 0.5)), 0, 1),
                run_of(summary_of(by_slice(0.5, nullptr, 0.5)), 1, 0),
                run_of(summary_of(by_slice(0.5, 0.75, 0.5)), 2, 1)};
  table.published = {{0, 0, 0, 0.625}, {0, 1, 0, 0.125}, {1, 0, 0, 0.5}};
  const std::string text = columns_markdown(table);
  EXPECT_THAT(text,
              testing::StartsWith("A table\n\n"
                                  "|  | one | published | difference | two | published | difference |\n"
                                  "|---|---|---|---|---|---|---|\n"
                                  "| a | 0.5000 | 0.6250 | -0.1250 | 0.2500 | 0.1250 | +0.1250 |\n"
                                  "| b | - | 0.5000 | - | - | - | - |\n"
                                  "| c | - | - | - | 0.7500 | - | - |\n"
                                  "\nmean absolute difference 0.1250 over 2 cells\n"
                                  "test.auc.cold of r.toml, mean ± standard deviation over seeds; data d1,"));
  table.published.clear();
  EXPECT_THAT(columns_markdown(table), testing::StartsWith("A table\n\n|  | one | two |\n|---|---|---|\n"
                                                           "| a | 0.5000 | 0.2500 |\n"));
  EXPECT_THAT(columns_markdown(table), Not(HasSubstr("difference")));
}

TEST(ResultTable, OfColumnsHasAPartForEveryFigure) {
  ResultTable table;
  table.title = "A table";
  table.recipe = "r.toml";
  table.rows = {"a"};
  table.columns = {"one", "two"};
  table.shown = {{{"auc", "cold"}, "auc.cold"}, {{"auc", "tail"}, "auc.tail"}};
  table.runs = {run_of(summary_of(by_slice(0.5, 0.5, 0.25)), 0, 0),
                run_of(summary_of(by_slice(0.5, 0.25, 0.75)), 0, 1)};
  table.published = {{0, 0, 0, 0.5}, {0, 1, 0, 0.5}, {0, 0, 1, 0.125}, {0, 1, 1, 0.5}};
  const std::string text = columns_markdown(table);
  EXPECT_THAT(text, testing::StartsWith("A table\n\nauc.cold\n\n| "));
  EXPECT_THAT(text, HasSubstr("| a | 0.5000 | 0.5000 | +0.0000 | 0.2500 | 0.5000 | -0.2500 |\n"));
  EXPECT_THAT(text, HasSubstr("\nauc.tail\n\n| "));
  EXPECT_THAT(text, HasSubstr("| a | 0.2500 | 0.1250 | +0.1250 | 0.7500 | 0.5000 | +0.2500 |\n"));
  EXPECT_THAT(text, HasSubstr("auc.cold, auc.tail of r.toml, mean"));
}

TEST(Markdown, ShowsWhatACostOfTheRunIsOverTheBaseline) {
  ResultTable table;
  table.recipe = "r.toml";
  table.rows = {"agreement", "none", "kd"};
  table.columns = {"r"};
  table.shown = {{{"auc"}, "AUC"},
                 {{"seconds.epoch"}, "s"},
                 {{"parameters"}, "parameters"},
                 {{"guidance_cost.money"}, "money"}};
  const auto run = [](std::size_t row, std::uint64_t seed, const json& seconds, int parameters) {
    json summary =
        row == 1 ? summary_of(by_slice(0.5, 0.5, 0.5)) : gated_summary(by_slice(0.5, 0.5, 0.5), 0.5);
    summary["seconds"]["epoch"] = seconds;
    summary["parameters"] = parameters;
    summary["guidance_cost"] = {{"money", row == 0 ? json(0.25) : json()}};
    return run_of(summary, row, 0, seed);
  };
  // Seed 3 has no run of the baseline; kd is faster, and has no seconds with seed 2.
  table.runs = {run(0, 1, 3, 130), run(0, 2, 5.5, 130), run(0, 3, 900, 130),   run(1, 1, 2, 100),
                run(1, 2, 4, 100), run(2, 1, 1.5, 90),  run(2, 2, nullptr, 90)};
  EXPECT_THAT(figures_markdown(table), Not(HasSubstr("over none")));
  table.baseline = 1;
  EXPECT_THAT(
      figures_markdown(table),
      testing::AllOf(
          testing::StartsWith("| method | AUC | s | over none | parameters | over none | money |\n"
                              "|---|---|---|---|---|---|---|\n"),
          HasSubstr("| +1.2500 ± 0.3536 | 130.0000 ± 0.0000 | +30.0000 ± 0.0000 | 0.2500"),
          HasSubstr("\n| none | 0.5000 ± 0.0000 | 3.0000 ± 1.4142 | - | 100.0000 ± 0.0000 | - | - |\n"),
          HasSubstr("\n| kd | 0.5000 ± 0.0000 | 1.5000 | -0.5000 | 90.0000 ± 0.0000 | "
                    "-10.0000 ± 0.0000 | - |\n")));
  table.runs.erase(table.runs.begin() + 3, table.runs.begin() + 5);
  EXPECT_THAT(figures_markdown(table), HasSubstr("\n| none | - | - | - | - | - | - |\n"));
  EXPECT_THAT(figures_markdown(table), HasSubstr("| kd | 0.5000 ± 0.0000 | 1.5000 | - | "));
}

TEST(ResultTable, OfNoRunIsShownWithoutANumber) {
  ResultTable table = methods_table();
  table.runs.clear();
  for (const std::string& text : {figures_markdown(table), columns_markdown(table), plain_text(table)}) {
    EXPECT_THAT(text, Not(HasSubstr("nan")));
    EXPECT_THAT(text, HasSubstr("none"));
  }
}

/// All that are in the repository: what a user is told to run must at least be understood.
TEST(Recipes, AreUnderstood) {
  int tables = 0, recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("experiments/recipes")) {
    const std::string path = entry.path().string();
    if (path.ends_with(".space.toml")) continue;  // of ./run tune
    if (read_text_file(path, "the recipe").find("[[row]]") == std::string::npos) {
      EXPECT_NO_THROW(load_config(path, {})) << path;
      ++recipes;
      continue;
    }
    EXPECT_NO_THROW({
      const RunPlan plan = plan_experiment(read_experiment(path), {});
      EXPECT_FALSE(plan.runs.empty()) << path;
    }) << path;
    if (read_text_file(path, "the recipe").find("[fast]") != std::string::npos) {
      ExperimentChoice fast;
      fast.fast = true;
      EXPECT_NO_THROW(plan_experiment(read_experiment(path), fast)) << path;
    }
    ++tables;
  }
  EXPECT_GE(tables, 10);
  EXPECT_GE(recipes, 5);
}

TEST(ResultsFile, HoldsEveryFigureAndWhatMadeIt) {
  ResultTable table = methods_table();
  table.runs[0].figures[0].value = 0.1 + 0.2;  // auc, all: no short decimal
  table.runs[1].data_hash = "d2";
  table.published = {{1, 0, 0, 0.5}};
  table.complete = false;
  const json stored = json::parse(results_json(table));
  EXPECT_EQ(stored["schema"], 1);
  EXPECT_EQ(stored["metric"], "auc.all");
  EXPECT_EQ(stored["complete"], false);
  EXPECT_EQ(stored["rows"], json({"none", "agreement"}));
  EXPECT_EQ(stored["columns"], json({"r"}));
  EXPECT_EQ(stored["published"],
            json::parse(R"([{"row": "agreement", "column": "r", "metric": "auc.all", "value": 0.5}])"));
  ASSERT_EQ(stored["runs"].size(), 3);
  EXPECT_EQ(stored["runs"][0]["scores_hash"], nullptr);
  EXPECT_EQ(stored["runs"][0]["feature_hash"], nullptr) << "mf reads none";
  EXPECT_EQ(stored["runs"][1]["data_hash"], "d2");
  EXPECT_EQ(stored["runs"][2]["scores_hash"], "s1");
  EXPECT_EQ(stored["runs"][2]["folder"], "runs/x");
  EXPECT_EQ(stored["cells"].size(), 14 + 14 + 21);
  std::map<std::string, json> values;
  for (const json& cell : stored["cells"]) {
    values[cell["row"].get<std::string>() + cell["seed"].dump() + cell["metric"].get<std::string>() +
           cell["slice"].get<std::string>()] = cell["value"];
  }
  EXPECT_EQ(values.at("none1aucall"), 0.1 + 0.2);
  EXPECT_EQ(values.at("none2auccold"), nullptr);
  EXPECT_EQ(values.at("none2ncold"), 4);
  EXPECT_EQ(values.at("agreement1guidance.mean_alphaall"), 0.375);

  table.runs[0].figures[0].value = kNaN;
  table.rows[0] = "caf\xe9";  // not UTF-8
  EXPECT_THAT(results_json(table), Not(HasSubstr("nan")));
  EXPECT_EQ(json::parse(results_json(table))["cells"][0]["value"], nullptr);
  table.runs.clear();
  EXPECT_EQ(json::parse(results_json(table))["cells"], json::array());
}

TEST(ResultsFile, ReplacesItsOwnKindAlone) {
  const TemporaryFolder folder;
  const std::string path = folder / "new/results.json";
  check_results_file(path, {}, false);
  write_results(path, methods_table());
  EXPECT_EQ(read_all(path), results_json(methods_table()));
  check_results_file(path, {}, false);
  EXPECT_THAT(error_of([&] { check_results_file(path, std::vector<std::string>{path}, true); }),
              HasSubstr("is read by this command"));
  for (const char* foreign : {"mine", "[1]", R"({"schema": 1, "title": "t"})", "{"}) {
    std::ofstream(path) << foreign;
    EXPECT_THAT(error_of([&] { check_results_file(path, {}, false); }), HasSubstr("give --force")) << foreign;
    check_results_file(path, {}, true);
  }
}

}  // namespace
}  // namespace sllmr
