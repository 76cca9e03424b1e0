#include "host/runs/run_ranks.h"

#include <fmt/format.h>

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "host/runs/provenance.h"
#include "kernels/exec/context.h"
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

/// How many cores this process may run on, which, and of which machine.
std::string where_it_runs() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  ::sched_getaffinity(0, sizeof cores, &cores);
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string text = fmt::format("{} {} ", available_cores(), host.data());
  for (int core = 0; core < CPU_SETSIZE; ++core) text += CPU_ISSET(core, &cores) ? '1' : '0';
  return text;
}

}  // namespace

int RunRanks::threads(const Config& config) {
  if (config.threads > 0 || ranks_.size() == 1) return config.threads;
  // Ranks share the cores that they may all run on; mpirun may have bound each to its own.
  const std::vector<std::string> places = gather_texts(ranks_, where_it_runs());
  int least = 1 << 16;
  for (const std::string& place : places) {
    const auto sharing = static_cast<int>(std::ranges::count(places, place));
    least = std::min(least, std::max(1, std::atoi(place.c_str()) / sharing));
  }
  return least;
}

bool RunRanks::first_says(bool mine) {
  ranks_.broadcast(&mine, sizeof mine, 0);
  return mine;
}

void RunRanks::require_same(const Config& config, const RunInputs& inputs, const Context& context) {
  if (ranks_.size() == 1) return;
  const nlohmann::json from = provenance(gpu_name(context), 0);
  const nlohmann::json& machine = from.at("machine");
  std::vector<std::pair<std::string, std::string>> own = {
      {"program", from.at("commit")},
      {"configuration", to_toml(config)},
      {"device", context.device() == Device::cpu ? "cpu" : "cuda"},
      // Products in float depend on it.
      {"processor", machine.at(context.device() == Device::cpu ? "cpu" : "gpu")}};
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
