#include "experiments/runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/base/say.h"
#include "host/base/text_file.h"
#include "host/guidance/gate_module.h"
#include "host/guidance/registry.h"
#include "host/runs/run_folder.h"
#include "host/runs/training.h"
#include "host/train/stored_model.h"
#include "host/train/trainer.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {

void require_not_overridden(std::span<const std::string> words, std::span<const std::string_view> keys,
                            std::string_view remedy) {
  for (const std::string& word : words) {
    for (const std::string_view key : keys) {
      require(!word.starts_with(std::string(key) + "="),
              fmt::format("'{}' cannot be overridden here: use {}", word, remedy));
    }
  }
}

namespace {

StoredValue stored_in(const nlohmann::json& summary) {
  return [&summary](const std::string& name) {
    const auto found = summary.find(name);
    return found != summary.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
}

/// The configuration of a stored run, with the device and the threads that it had.
Config stored_config(const nlohmann::json& summary, const std::string& path) {
  Config config = parse_config(summary.at("config").get<std::string>(), path);
  const nlohmann::json device = summary.value("device", nlohmann::json()),
                       threads = summary.value("threads", nlohmann::json());
  require((device == "cpu" || device == "cuda") && threads.is_number_unsigned() &&
              std::in_range<int>(threads.get<std::uint64_t>()),
          fmt::format(
              "{}: not a run's summary (it does not say device and threads); remove the folder, or choose "
              "another one",
              path));
  config.device = device == "cpu" ? Config::Device::cpu : Config::Device::cuda;
  config.threads = threads.get<int>();
  return config;
}

}  // namespace

nlohmann::json finished_summary(const Config& config, const RunInputs& inputs) {
  nlohmann::json summary = read_summary(config.run_dir);
  if (summary.is_null()) return summary;
  const auto refuse = [&](const char* what, const std::string& change) {
    throw Error(fmt::format("{} holds a run of {} ({}): remove it, or choose another folder", config.run_dir,
                            what, change));
  };
  const std::string change = changed_input(config, inputs, stored_in(summary));
  // Who counted otherwise may have written the configuration in another way too.
  if (stored_in(summary)("numbers_version") != std::to_string(kNumbersVersion)) {
    refuse("another version of the program", change);
  }
  const std::string difference =
      changed_configuration(decisive(stored_config(summary, config.run_dir + "/summary.json")), config);
  if (!difference.empty()) refuse("another configuration", difference);
  if (!change.empty()) refuse("other data", change);
  return summary;
}

std::vector<CheckedRun> check_runs(std::span<const Config> runs) {
  std::map<std::string, std::size_t> folders;  // of the first run that has it
  std::map<std::string, std::vector<std::size_t>> by_data;
  for (std::size_t k = 0; k < runs.size(); ++k) {
    check_training(runs[k]);
    // Two cells of a table may be of one run.
    const auto [first, is_new] = folders.emplace(runs[k].run_dir, k);
    require(is_new || to_toml(decisive(runs[k])) == to_toml(decisive(runs[first->second])),
            fmt::format("two runs have the folder {}: give rows and columns names of their own",
                        runs[k].run_dir));
    Config data;
    data.data = runs[k].data;
    by_data[to_toml(data)].push_back(k);
  }
  const auto by_kernels = std::ranges::count_if(runs, has_mf_kernels);
  const auto factorise =
      std::ranges::count_if(runs, [](const Config& run) { return run.model.name == "mf"; });
  if (by_kernels > 0 && by_kernels < factorise) {
    say("warning: some of these methods train mf by its own kernels, others in mini-batches from another "
        "start "
        "and with other negatives: differences between them are not the methods' alone");
  }
  std::vector<CheckedRun> checked(runs.size());
  for (const auto& [ignored, members] : by_data) {
    const World world = load_world(runs[members.front()]);
    std::map<std::string, std::uint64_t> tables;   // hashes, by what decides how a table is read
    std::map<std::string, std::uint64_t> vectors;  // the same of files of text vectors
    std::map<std::string, std::shared_ptr<const TextVectors>> of_items;
    std::set<std::string> readings;  // of files of written texts' vectors
    for (const std::size_t k : members) {
      const Config& run = runs[k];
      check_protocol(run, world.split);
      checked[k].inputs = run_inputs(*world.data, 0, 0, gate_files_hash(run));
      const std::vector<std::string> written = written_files_of(run);
      const bool of_file = reads_of(run).vectors && run.llm.encoder == "file";
      if (of_file) require_not_pipe(run.llm.vectors, "llm.vectors");
      for (const std::string& path : written) require_not_pipe(path, "vectors of written texts");
      if (of_file || !written.empty()) {
        const std::string key =
            fmt::format("{}\n{}", of_file ? run.llm.vectors : "", fmt::join(written, "\n"));
        const auto [file, is_new] = vectors.try_emplace(key, 0);
        std::shared_ptr<const TextVectors> items;
        if (of_file) {
          std::shared_ptr<const TextVectors>& read = of_items[run.llm.vectors];
          if (!read) read = vectors_for(run, *world.data);
          items = read;
        }
        if (is_new) file->second = vectors_hash(run, items.get());
        checked[k].inputs.vectors = file->second;
        // Backbones and learning rates read a file alike.
        Config reading = run;
        reading.model = {};
        reading.train = {};
        reading.run_dir.clear();
        if (!written.empty() && readings.insert(to_toml(reading)).second)
          find_guidance(run).check_files(run, world.split, items.get());
      }
      if (!reads_of(run).scores || run.llm.scorer != "file") continue;
      require_not_pipe(run.llm.scores, "llm.scores");
      Config reading;
      reading.llm.scores = run.llm.scores;
      reading.llm.min_known = run.llm.min_known;
      reading.llm.allow_leak = run.llm.allow_leak;
      reading.llm.stale = run.llm.stale;
      reading.llm.max_age_days = run.llm.max_age_days;
      const auto [table, is_new] = tables.try_emplace(to_toml(reading), 0);
      if (is_new) table->second = load_scores(run, world.split).hash;
      checked[k].inputs.scores = table->second;
    }
  }
  for (std::size_t k = 0; k < runs.size(); ++k) {
    checked[k].stored = finished_summary(runs[k], checked[k].inputs);
  }
  return checked;
}

nlohmann::json run_once(const Config& config, const RunInputs& inputs) {
  nlohmann::json summary = finished_summary(config, inputs);
  if (!summary.is_null()) return summary;
  summary = train(config, std::filesystem::exists(std::filesystem::path(config.run_dir) / "config.toml"));
  if (summary.is_null()) throw Interrupted();
  const std::string change = changed_input(config, inputs, stored_in(summary));
  require(change.empty(),
          fmt::format("{}: {} changed while the table was being made: remove the folder and begin "
                      "again, or restore them",
                      config.run_dir, change));
  return summary;
}

}  // namespace sllmr
