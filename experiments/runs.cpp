#include "experiments/runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "experiments/report/text.h"
#include "host/train/interrupt.h"
#include "host/train/training.h"

namespace sllmr {

nlohmann::json run_once(const Config& config) {
  const std::filesystem::path folder = config.run_dir;
  nlohmann::json summary;
  if (std::filesystem::exists(folder / "summary.json")) {
    std::ifstream in(folder / "summary.json");
    summary = nlohmann::json::parse(in);
    if (summary.at("config") == to_toml(config)) return summary;
    throw Error(fmt::format("{} holds a run of another configuration: remove it or choose another folder",
                            folder.string()));
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
