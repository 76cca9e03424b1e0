#include "experiments/runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "experiments/report/text.h"
#include "host/guidance/registry.h"
#include "host/train/run_folder.h"
#include "host/train/training.h"
#include "kernels/exec/interrupt.h"
#include "models/registry.h"

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

/// The summary in the run's folder, or null. Throws Error where it is not the one that the run would have.
nlohmann::json stored_summary(const Config& config, const RunInputs& inputs) {
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
      first_difference(decisive(stored_config(summary, config.run_dir + "/summary.json")), decisive(config));
  if (!difference.empty()) refuse("another configuration", difference);
  if (!change.empty()) refuse("other data", change);
  return summary;
}

}  // namespace

std::vector<RunInputs> check_runs(std::span<const Config> runs) {
  std::set<std::string> folders;
  std::map<std::string, std::vector<std::size_t>> by_data;
  for (std::size_t k = 0; k < runs.size(); ++k) {
    find_guidance(runs[k]);
    require(folders.insert(runs[k].run_dir).second,
            fmt::format("two runs have the folder {}: give rows and columns names of their own",
                        runs[k].run_dir));
    Config data;
    data.data = runs[k].data;
    by_data[to_toml(data)].push_back(k);
  }
  std::vector<RunInputs> inputs(runs.size());
  for (const auto& [ignored, members] : by_data) {
    const World world = load_world(runs[members.front()]);
    std::map<std::string, std::uint64_t> tables;  // hashes, by what decides how a table is read
    for (const std::size_t k : members) {
      const Config& run = runs[k];
      check_protocol(run, world.split);
      inputs[k] = run_inputs(*world.data);
      if (!find_guidance(run).reads_scores || run.llm.scorer != "file") continue;
      std::error_code missing;  // told by the reader
      require(!std::filesystem::is_fifo(run.llm.scores, missing),
              fmt::format("llm.scores '{}' is a pipe, and it is read more than once: write it to a file",
                          run.llm.scores));
      Config reading;
      reading.llm.scores = run.llm.scores;
      reading.llm.min_known = run.llm.min_known;
      reading.llm.allow_leak = run.llm.allow_leak;
      reading.llm.stale = run.llm.stale;
      reading.llm.max_age_days = run.llm.max_age_days;
      const auto [table, is_new] = tables.try_emplace(to_toml(reading), 0);
      if (is_new) table->second = load_scores(run, world.split).hash;
      inputs[k].scores = table->second;
    }
  }
  for (std::size_t k = 0; k < runs.size(); ++k) stored_summary(runs[k], inputs[k]);
  return inputs;
}

nlohmann::json run_once(const Config& config, const RunInputs& inputs) {
  nlohmann::json summary = stored_summary(config, inputs);
  if (!summary.is_null()) return summary;
  summary = train(config, std::filesystem::exists(std::filesystem::path(config.run_dir) / "config.toml"));
  if (summary.is_null() || interrupted()) throw Interrupted();
  const std::string change = changed_input(config, inputs, stored_in(summary));
  require(change.empty(),
          fmt::format("{}: {} changed while the table was being made: remove the folder and begin "
                      "again, or restore them",
                      config.run_dir, change));
  return summary;
}

Spread spread_of(const std::vector<nlohmann::json>& values) {
  double sum = 0, squares = 0;
  int n = 0;
  for (const nlohmann::json& value : values) {
    if (value.is_null()) continue;
    const auto x = value.get<double>();
    sum += x;
    squares += x * x;
    ++n;
  }
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (n == 0) return {0, kNone, kNone};
  const double mean = sum / n;
  if (n == 1) return {1, mean, kNone};
  return {n, mean, std::sqrt(std::max(0.0, (squares - n * mean * mean) / (n - 1)))};
}

std::string to_text(const Spread& spread) {
  if (spread.n == 0) return "-";
  if (spread.n == 1) return fmt::format("{:.4f}", spread.mean);
  return fmt::format("{:.4f} ± {:.4f}", spread.mean, spread.deviation);
}

std::string provenance_text(std::span<const nlohmann::json> summaries) {
  // In the order of their first run, each once.
  std::vector<std::pair<std::string, std::vector<std::string>>> parts = {
      {"data ", {}}, {"features ", {}}, {"texts ", {}}, {"scores ", {}}, {"commit ", {}}, {"", {}}};
  const auto add = [&](std::size_t part, const std::string& value) {
    std::vector<std::string>& values = parts[part].second;
    if (std::ranges::find(values, value) == values.end()) values.push_back(value);
  };
  for (const nlohmann::json& summary : summaries) {
    const auto stored = stored_in(summary);
    const BackboneInfo* backbone = find_backbone(stored("model"));
    const bool reads_scores = summary.contains("llm");
    add(0, stored("data_hash"));
    if (backbone != nullptr && backbone->reads_attributes) add(1, stored("feature_hash"));
    const bool reads_table = reads_scores && summary["llm"].contains("leakage");
    if (reads_scores && !reads_table) add(2, stored("text_hash"));
    if (reads_scores) add(3, stored("scores_hash"));
    add(4, stored("commit"));
    add(5, summary.at("machine").dump());
  }
  std::string text;
  for (const auto& [name, values] : parts) {
    if (values.empty()) continue;
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", name, fmt::join(values, " and "));
  }
  return text;
}

}  // namespace sllmr
