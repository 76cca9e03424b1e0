#include "host/runs/run_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "host/runs/provenance.h"
#include "kernels/exec/parallel.h"

namespace sllmr {

namespace {

/// The first line in which two texts differ: "'seed = 2' instead of 'seed = 1'".
std::string difference(const std::string& a, const std::string& b) {
  std::istringstream lines_a(a), lines_b(b);
  std::string line_a, line_b;
  while (line_a == line_b && (lines_a || lines_b)) {
    if (!std::getline(lines_a, line_a)) line_a.clear();
    if (!std::getline(lines_b, line_b)) line_b.clear();
  }
  return fmt::format("'{}' instead of '{}'", line_a, line_b);
}

}  // namespace

int RunRanks::threads(const Config& config) const {
  if (config.threads > 0 || ranks_.size() == 1) return config.threads;
  return std::max(1, available_cores() / ranks_.local_size());
}

void RunRanks::say(const std::string& text) const {
  if (writes()) fmt::print(stderr, "{}", text);
}

bool RunRanks::first_says(bool mine) {
  ranks_.broadcast(&mine, sizeof mine, 0);
  return mine;
}

void RunRanks::require_same(const Config& config, const RunInputs& inputs) {
  if (ranks_.size() == 1) return;
  std::vector<std::pair<std::string, std::string>> own = {{"program", provenance({}, 0).at("commit")},
                                                          {"configuration", to_toml(config)}};
  for (const auto& [name, value] : stored_form(inputs)) own.emplace_back(name, value);
  for (const auto& [what, value] : own) {
    const std::vector<std::string> all = gather_texts(ranks_, value);
    for (std::size_t r = 1; r < all.size(); ++r) {
      if (all[r] == all[0]) continue;
      throw Error(
          fmt::format("rank {} has another {} than rank 0, {}: start all ranks from the same program, "
                      "with the same words and files",
                      r, what, difference(all[r], all[0])));
    }
  }
}

}  // namespace sllmr
