#include "experiments/commands/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/commands/flags.h"
#include "experiments/report/text.h"
#include "experiments/runs.h"
#include "host/config/config.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

struct CompareOptions {
  std::string recipe, out;
  std::vector<std::string> overrides, methods = {"none", "global", "hinge", "agreement"};
  std::vector<int> seeds = {1, 2, 3};
};

void compare(const CompareOptions& options) {
  constexpr std::string_view kOwn[] = {"method", "seed", "run_dir"};
  require_not_overridden(options.overrides, kOwn, "--methods, --seeds and --out");
  require(!options.out.empty(), "--out: name a folder");
  require_distinct(options.methods, "--methods");
  require_distinct(options.seeds, "--seeds");
  std::vector<Config> runs;  // by method, then by seed
  for (const std::string& method : options.methods) {
    for (const int seed : options.seeds) {
      std::vector<std::string> overrides = options.overrides;
      overrides.insert(overrides.end(), {"method=" + method, fmt::format("seed={}", seed),
                                         fmt::format("run_dir={}/{}_{}", options.out, method, seed)});
      runs.push_back(load_config(options.recipe, overrides));
    }
  }
  const std::vector<RunInputs> inputs = check_runs(runs);
  const std::vector<GuidanceColumn> guidance = guidance_columns(options.methods, true);
  std::string table, protocol;
  std::vector<nlohmann::json> summaries;
  for (const std::string& method : options.methods) {
    std::map<std::string, std::vector<nlohmann::json>> columns;
    for (std::size_t k = 0; k < options.seeds.size(); ++k) {
      const std::size_t run = summaries.size();
      summaries.push_back(run_once(runs[run], inputs[run]));
      const nlohmann::json& summary = summaries.back();
      const nlohmann::json& test = summary.at("test");
      for (const char* slice : {"all", "cold", "tail"}) columns[slice].push_back(test.at("auc").at(slice));
      // Ranking quality or calibration, whichever the protocol has.
      columns["other"].push_back(test.contains("ndcg@10")    ? test.at("ndcg@10").at("all")
                                 : test.contains("log_loss") ? test.at("log_loss").at("all")
                                                             : nlohmann::json());
      for (const GuidanceColumn& column : guidance) {
        columns[column.path].push_back(guidance_figure(summary, column));
      }
    }
    if (table.empty()) {
      protocol = summaries.front().at("test").at("protocol");
      std::string rule = "\n|---|---|---|---|---|";
      table =
          fmt::format("| method | AUC all | cold | tail | {} |", protocol == "full" ? "NDCG@10" : "log-loss");
      for (const GuidanceColumn& column : guidance) {
        table += fmt::format(" {} |", column.title);
        rule += "---|";
      }
      table += rule + "\n";
    }
    table += "| " + method;
    for (const char* column : {"all", "cold", "tail", "other"}) {
      table += " | " + to_text(spread_of(columns[column]));
    }
    for (const GuidanceColumn& column : guidance) table += " | " + to_text(spread_of(columns[column.path]));
    table += " |\n";
  }
  fmt::print("{}\nprotocol {}, mean ± standard deviation over seeds {}; {}\n", table, protocol,
             fmt::join(options.seeds, ", "), provenance_text(summaries));
}

}  // namespace

void add_compare_command(CLI::App& app) {
  const auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand(
      "compare", "Run methods x seeds of one recipe and print a table (finished runs are kept)");
  command->add_option("recipe", options->recipe, "A recipe (TOML)")->required();
  command->add_option("overrides", options->overrides, "key=value for every run");
  command->add_option("--methods", options->methods, "Words that method= takes, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--seeds", options->seeds, "Seeds, separated by commas")
      ->delimiter(',')
      ->check(number_in(0, std::numeric_limits<int>::max()))
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--out", options->out, "Folder for the run folders")->required();
  command->callback([options] { compare(*options); });
}

}  // namespace sllmr
