#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/base/atomic_file.h"
#include "host/base/output_file.h"
#include "host/eval/protocol.h"
#include "host/guidance/gate_module.h"
#include "host/guidance/registry.h"
#include "host/runs/run_folder.h"
#include "host/runs/run_inputs.h"
#include "host/runs/training.h"
#include "host/train/stored_model.h"

namespace sllmr {

namespace {

void check_predictions(const EvalOptions& options, const Config& config, const Dataset& data) {
  std::vector<std::string> inputs = run_files(options.run_dir);
  inputs.insert(inputs.end(), data.files.begin(), data.files.end());
  inputs.push_back(config.llm.scores);
  const auto is_ours = [](const std::string& path) {
    return std::ranges::any_of(
        protocols(), [&](const Protocol& protocol) { return has_first_line(path, protocol.header); });
  };
  require_folder_of(options.predictions);
  check_output(options.predictions, inputs, is_ours, options.force);
}

/// Throws Error where config.toml describes another model than the checkpoint's; how it is evaluated may
/// change.
void require_same_model(const SafetensorsFile& checkpoint, const Config& config, const std::string& run_dir) {
  const Config stored = parse_config(checkpoint.meta("config"), checkpoint.path);
  Config then = config;
  then.model = stored.model;
  then.data.max_history = stored.data.max_history;
  const std::string change = first_difference(then, config);
  require(change.empty(), fmt::format("{}: {}/config.toml describes another model ({}): restore it",
                                      checkpoint.path, run_dir, change));
}

}  // namespace

nlohmann::json evaluate_run(const EvalOptions& options) {
  const std::string best = options.run_dir + "/" + kBestFile;
  std::optional<SafetensorsFile> checkpoint =
      read_safetensors(std::filesystem::exists(best) ? best : options.run_dir + "/" + kCheckpointFile);
  Config config = load_config(options.run_dir + "/config.toml", {});
  require_same_model(*checkpoint, config, options.run_dir);
  forget_gate_files(config);
  const Protocol& protocol = find_protocol(config);
  const World world = load_world(config);
  if (!options.predictions.empty()) check_predictions(options, config, *world.data);
  // Of guidance what the model reads has a part in scoring, and nothing else; and whichever program trained
  // the model, this one's figures are right.
  Config scoring = config;
  if (find_guidance(config).extra == nullptr) scoring.method = "none";
  const auto vectors = vectors_for(scoring, *world.data);
  const RunInputs now = run_inputs(*world.data, 0, vectors_hash(config, vectors.get()));
  const std::string change = changed_input(scoring, now, [&](const std::string& name) {
    return name == "numbers_version" ? std::to_string(kNumbersVersion) : stored_value(*checkpoint, name);
  });
  require(change.empty(),
          fmt::format("{}: {} are not those of the checkpoint; restore them", checkpoint->path, change));
  const Context context(parse_device(options.device), config.threads);
  const std::unique_ptr<EvaluatedModel> model =
      load_model(context, config, world.split, vectors, *checkpoint);
  checkpoint.reset();  // its memory is the evaluation's
  const Evaluation evaluation{context, config, *model, world.split, options.target};
  if (options.predictions.empty()) return protocol.evaluate(evaluation, nullptr);
  AtomicFile file(options.predictions);
  file.stream() << protocol.header << '\n';
  nlohmann::json figures = protocol.evaluate(evaluation, &file.stream());
  file.commit();
  return figures;
}

}  // namespace sllmr
