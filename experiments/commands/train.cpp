#include "experiments/commands/train.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/report/text.h"
#include "host/atomic_file.h"
#include "host/train/training.h"

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

struct EvalOptions {
  std::string run_dir, target = "test", device = "auto", predictions;
  bool json = false;
};

void write_predictions(const std::string& path, const RankingResult& result, const Dataset& data) {
  AtomicFile file(path);
  file.stream() << "user_id\titem_id\trank\tauc\n";
  for (const RankedRow& row : result.rows) {
    file.stream() << fmt::format("{}\t{}\t{}\t{:.6f}\n", data.users.token(row.user),
                                 data.items.token(row.item), row.rank(), row.auc());
  }
  file.commit();
}

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
    const Config config = config_of(*options);
    const nlohmann::json summary = train(config, options->resume);
    if (summary.is_null()) throw Interrupted();
    if (options->json) {
      fmt::print("{}\n", summary.dump(2));
    } else {
      fmt::print("{}", summary_text(summary, config.run_dir));
    }
  });
}

void add_eval_command(CLI::App& app) {
  const auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand("eval", "Evaluate the checkpoint of a run (protocol: full)");
  command->add_option("run_dir", options->run_dir, "Folder of the run")->required();
  command->add_option("--target", options->target, "Which held-out item to rank")
      ->check(CLI::IsMember({"test", "validation"}))
      ->capture_default_str();
  command->add_option("--device", options->device, "auto, cpu or cuda")->capture_default_str();
  command->add_option("--predictions", options->predictions,
                      "Write rank and AUC of every row to this TSV file");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] {
    World world;
    const RankingResult result =
        evaluate_run(options->run_dir, options->target == "test" ? Target::test : Target::validation,
                     options->device, world);
    if (!options->predictions.empty()) write_predictions(options->predictions, result, *world.data);
    if (options->json) {
      fmt::print("{}\n", to_json(result).dump(2));
    } else {
      fmt::print("{}", ranking_text(to_json(result)));
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
