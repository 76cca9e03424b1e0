#include "experiments/commands/compare.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/report/text.h"
#include "host/train/interrupt.h"
#include "host/train/training.h"

namespace sllmr {
namespace {

struct CompareOptions {
  std::string recipe, out;
  std::vector<std::string> overrides, methods = {"none", "global", "hinge", "agreement"};
  std::vector<int> seeds = {1, 2, 3};
};

/// The summary of one run: the stored one if it is there and of this configuration, else a new or resumed
/// run's.
nlohmann::json run_once(const Config& config) {
  const std::filesystem::path folder = config.run_dir;
  if (std::filesystem::exists(folder / "summary.json")) {
    std::ifstream in(folder / "summary.json");
    const nlohmann::json summary = nlohmann::json::parse(in);
    if (summary.at("config") == to_toml(config)) return summary;
    throw Error(fmt::format("{} holds a run of another configuration: remove it or choose another --out",
                            folder.string()));
  }
  return train(config, std::filesystem::exists(folder / "config.toml"));
}

/// "0.7134 ± 0.0012" over seeds; "-" where no seed has a value.
std::string mean_and_deviation(const std::vector<nlohmann::json>& values) {
  double sum = 0, squares = 0, n = 0;
  for (const nlohmann::json& value : values) {
    if (value.is_null()) continue;
    sum += value.get<double>();
    squares += value.get<double>() * value.get<double>();
    n += 1;
  }
  if (n == 0) return "-";
  const double mean = sum / n;
  if (n == 1) return fmt::format("{:.4f}", mean);
  return fmt::format("{:.4f} ± {:.4f}", mean,
                     std::sqrt(std::max(0.0, (squares - n * mean * mean) / (n - 1))));
}

void compare(const CompareOptions& options) {
  for (const std::string& word : options.overrides) {
    for (const char* key : {"method=", "seed=", "run_dir=", "eval.topk="}) {
      require(word.rfind(key, 0) != 0,
              fmt::format("'{}' cannot be overridden here: use --methods, --seeds and --out", word));
    }
  }
  std::string table =
      "| method | AUC all | cold | tail | NDCG@10 | mean alpha |\n|---|---|---|---|---|---|\n";
  nlohmann::json first;
  for (const std::string& method : options.methods) {
    std::vector<nlohmann::json> all, cold, tail, ndcg, alpha;
    for (const int seed : options.seeds) {
      std::vector<std::string> overrides = options.overrides;
      overrides.insert(overrides.end(), {"method=" + method, fmt::format("seed={}", seed), "eval.topk=[10]",
                                         fmt::format("run_dir={}/{}_{}", options.out, method, seed)});
      const nlohmann::json summary = run_once(load_config(options.recipe, overrides));
      if (summary.is_null() || interrupted()) throw Interrupted();
      if (first.is_null()) first = summary;
      const nlohmann::json& auc = summary.at("test").at("auc");
      all.push_back(auc.at("all"));
      cold.push_back(auc.at("cold"));
      tail.push_back(auc.at("tail"));
      ndcg.push_back(summary.at("test").at("ndcg@10").at("all"));
      alpha.push_back(summary.at("gate").at("mean_alpha"));
    }
    table += fmt::format("| {} | {} | {} | {} | {} | {} |\n", method, mean_and_deviation(all),
                         mean_and_deviation(cold), mean_and_deviation(tail), mean_and_deviation(ndcg),
                         mean_and_deviation(alpha));
  }
  fmt::print("{}\nprotocol full, mean ± standard deviation over seeds {}; data {}, commit {}, {}\n", table,
             fmt::join(options.seeds, ", "), first.at("data_hash").get<std::string>(),
             first.at("commit").get<std::string>(), first.at("machine").dump());
}

}  // namespace

void add_compare_command(CLI::App& app) {
  const auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand(
      "compare", "Run methods x seeds of one recipe and print a table (finished runs are kept)");
  command->add_option("recipe", options->recipe, "A recipe (TOML)")->required();
  command->add_option("overrides", options->overrides, "key=value for every run");
  command->add_option("--methods", options->methods, "Words that method= takes")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--seeds", options->seeds, "Seeds")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--out", options->out, "Folder for the run folders")->required();
  command->callback([options] { compare(*options); });
}

}  // namespace sllmr
