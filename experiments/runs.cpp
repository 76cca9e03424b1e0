#include "experiments/runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "experiments/report/text.h"
#include "host/train/interrupt.h"
#include "host/train/method.h"
#include "host/train/run_folder.h"
#include "host/train/training.h"

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

void check_runs(std::span<const Config> runs) {
  std::set<std::string> folders;
  for (const Config& run : runs) {
    resolve_method(run);
    require(
        folders.insert(run.run_dir).second,
        fmt::format("two runs have the folder {}: give rows and columns names of their own", run.run_dir));
  }
}

nlohmann::json run_once(const Config& config) {
  const std::filesystem::path folder = config.run_dir;
  nlohmann::json summary = read_summary(config.run_dir);
  if (!summary.is_null()) {
    const Config then =
        parse_config(summary.at("config").get<std::string>(), config.run_dir + "/summary.json");
    constexpr std::string_view kIgnored[] = {"run_dir"};  // as it was spelled then
    const std::string change = first_difference(then, config, kIgnored);
    if (change.empty()) return summary;
    throw Error(
        fmt::format("{} holds a run of another configuration ({}): remove it or choose another folder",
                    config.run_dir, change));
  }
  summary = train(config, std::filesystem::exists(folder / "config.toml"));
  if (summary.is_null() || interrupted()) throw Interrupted();
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

std::string provenance_text(const nlohmann::json& summary) {
  return fmt::format("data {}, commit {}, {}", summary.at("data_hash").get<std::string>(),
                     summary.at("commit").get<std::string>(), summary.at("machine").dump());
}

}  // namespace sllmr
