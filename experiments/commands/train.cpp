// `sllmr train`, `sllmr eval` and `sllmr config`.
#include "experiments/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/report/text.h"
#include "host/runs/training.h"
#include "kernels/exec/communicator.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

struct TrainOptions {
  std::vector<std::string> words;  // at most one recipe, then key=value overrides, in any order
  std::string device;
  bool resume = false;
  bool json = false;
};

Config config_of(const TrainOptions& options) {
  std::string recipe;
  std::vector<std::string> overrides;
  for (const std::string& word : options.words) {
    if (word.find('=') != std::string::npos) {
      overrides.push_back(word);
    } else {
      require(recipe.empty(), fmt::format("two recipes, '{}' and '{}': a run takes one", recipe, word));
      recipe = word;
    }
  }
  if (!options.device.empty()) overrides.push_back("device=" + options.device);
  return load_config(recipe, overrides);
}

struct EvalWords {
  EvalOptions options;
  std::string target = "test";
  bool json = false;
};

}  // namespace

void add_train_command(CLI::App& app) {
  const auto options = std::make_shared<TrainOptions>();
  CLI::App* command = app.add_subcommand("train", "Train one model and evaluate it");
  command
      ->add_option("recipe", options->words,
                   "A recipe (TOML) and overrides: method=agreement seed=2 run_dir=runs/a")
      ->required();
  command->add_option("--device", options->device, "auto, cpu or cuda");
  command->add_flag("--resume", options->resume, "Go on from the checkpoint in run_dir");
  command->add_flag("--json", options->json, "Print the summary as JSON");
  command->callback([options] {
    Communicator& ranks = all_ranks();
    const Config config = config_of(*options);
    const nlohmann::json summary = train(config, options->resume, ranks);
    if (summary.is_null()) throw Interrupted();
    if (ranks.rank() != 0) return;
    if (options->json) {
      fmt::print("{}\n", summary.dump(2));
    } else {
      fmt::print("{}", summary_text(summary, config.run_dir));
    }
  });
}

void add_eval_command(CLI::App& app) {
  const auto words = std::make_shared<EvalWords>();
  EvalOptions& options = words->options;
  CLI::App* command = app.add_subcommand("eval", "Evaluate the checkpoint of a run under its protocol");
  command->add_option("run_dir", options.run_dir, "Folder of the run")->required();
  command->add_option("--target", words->target, "Which held-out item to score")
      ->check(CLI::IsMember({"test", "validation"}))
      ->capture_default_str();
  command->add_option("--device", options.device, "auto, cpu or cuda")->capture_default_str();
  command->add_option("--predictions", options.predictions,
                      "Write a line for each row to this TSV file: rank and AUC, or logit");
  command->add_flag("--force", options.force, "Replace a file of other content by the predictions");
  command->add_flag("--json", words->json, "Print JSON");
  command->callback([words] {
    words->options.target = words->target == "test" ? Target::test : Target::validation;
    const nlohmann::json result = evaluate_run(words->options);
    if (words->json) {
      fmt::print("{}\n", result.dump(2));
    } else {
      fmt::print("{}", figures_text(result));
    }
  });
}

void add_config_command(CLI::App& app) {
  app.add_subcommand("config", "List all configuration keys")->callback([] {
    for (const ConfigKeyInfo& key : config_keys()) {
      fmt::print("{:<24} {:<12} {}\n{:<24} {}\n", key.key, key.default_value, key.doc, "", key.type);
    }
  });
}

}  // namespace sllmr
