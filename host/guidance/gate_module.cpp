#include "host/guidance/gate_module.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include "host/guidance/gate_compiler.h"
#include "host/guidance/registry.h"
#include "kernels/exec/error.h"
#include "kernels/mf_args.h"

namespace sllmr {

namespace {

/// Throws Error for a part that failed.
void require_sound(const std::vector<std::string>& files, const std::vector<GateTrial>& trials) {
  for (const GateTrial& trial : trials) {
    require(trial.fault.empty(), fmt::format("{}: {}: {}; `sllmr gates check FILE` tries it out by itself",
                                             fmt::join(files, ", "), trial.part, trial.fault));
  }
}

/// Throws Error for a part whose name tables could not tell from a registered one's.
void require_own_names(const std::vector<std::string>& files, const std::vector<GatePart>& registered,
                       const std::vector<GatePart>& all) {
  for (std::size_t k = registered.size(); k < all.size(); ++k) {
    require(find_gate_part(registered, all[k].name) == nullptr,
            fmt::format("{}: a registered part is called '{}' already: choose another name",
                        fmt::join(files, ", "), all[k].name));
  }
}

/// Lists of a module, each with the module's number in its parts.
struct Lists {
  std::vector<GatePart> rules, objectives, penalties;
};

struct Loaded {
  int number;
  Lists lists;
};

const Loaded& loaded(const std::vector<std::string>& files, const ModuleKernels& kernels, bool cuda) {
  static std::mutex mutex;
  static std::map<std::string, Loaded> all;
  const std::lock_guard lock(mutex);
  const std::string key =
      fmt::format("{:016x} {} {} {} {} {}", hash_of_gate_headers(files), fmt::join(files, " "), kernels.fused,
                  kernels.width, kernels.optimizer, cuda);
  if (const auto found = all.find(key); found != all.end()) return found->second;
  GateCompiler compiler(files, kernels, cuda);
  const GateModule module = compiler.load();
  require_own_names(files, gate_rules(), module.rules());
  require_own_names(files, gate_objectives(), module.objectives());
  require_own_names(files, gate_penalties(), module.penalties());
  require_sound(files, module.try_out());
  Loaded out{add_gate_module(module), {module.rules(), module.objectives(), module.penalties()}};
  for (auto* parts : {&out.lists.rules, &out.lists.objectives, &out.lists.penalties}) {
    for (GatePart& part : *parts) part.module = out.number;
  }
  return all.emplace(key, std::move(out)).first->second;
}

/// The words that may name headers, in the order of kGateHeaderKinds.
std::array<const std::string*, 3> gate_words(const Config& config) {
  return {&config.gate.rule, &config.gate.objective, &config.llm.penalty};
}

const Loaded* loaded_for(const Config& config) {
  const std::vector<std::string> files = gate_files(config);
  if (files.empty()) return nullptr;
  for (std::size_t k = 0; k < std::size(kGateHeaderKinds); ++k) {
    const std::string& word = *gate_words(config)[k];
    if (!is_gate_file(word)) continue;
    const GateHeaderKind& found = *read_gate_header(word).kind;
    require(&found == &kGateHeaderKinds[k], fmt::format("{} defines a {}, and a {} is asked for", word,
                                                        found.base, kGateHeaderKinds[k].base));
  }
  ModuleKernels kernels;
  if (config.model.name == "mf" && config.train.loss == BaseLoss::bpr) {
    kernels = {true, config.train.mode == TrainConfig::Mode::fused ? 1 : 0, config.model.width,
               std::string(info_of(config.train.optimizer).name)};
    for_mf_width(kernels.width, [](auto) {});
  }
  const bool cuda = config.device == Config::Device::cuda ||
                    (config.device == Config::Device::automatic && cuda_available());
  return &loaded(files, kernels, cuda);
}

}  // namespace

bool is_gate_file(std::string_view word) {
  return word.ends_with(".h") || word.ends_with(".cuh") || word.ends_with(".hpp");
}

std::vector<std::string> gate_files(const Config& config) {
  std::vector<std::string> files;
  const GuidanceInfo* guidance = guidance_of(config.method);
  if (guidance == nullptr || !guidance->reads_gate) return files;
  for (const std::string* word : gate_words(config)) {
    if (is_gate_file(*word) && std::ranges::find(files, *word) == files.end()) files.push_back(*word);
  }
  return files;
}

std::uint64_t gate_files_hash(const Config& config) {
  return hash_of_gate_headers(gate_files(config));
}

GateParts gate_parts_of(const Config& config) {
  const Loaded* module = loaded_for(config);
  if (module == nullptr) return {&gate_rules(), &gate_objectives(), &gate_penalties()};
  return {&module->lists.rules, &module->lists.objectives, &module->lists.penalties};
}

const GatePart* find_gate_part_of(const std::vector<GatePart>& parts, const std::string& word) {
  // The headers' parts come last, and each list has one at most.
  return is_gate_file(word) ? &parts.back() : find_gate_part(parts, word);
}

void forget_gate_files(Config& config) {
  const Config defaults;
  if (is_gate_file(config.gate.rule)) config.gate.rule = defaults.gate.rule;
  if (is_gate_file(config.gate.objective)) config.gate.objective = defaults.gate.objective;
  if (is_gate_file(config.llm.penalty)) config.llm.penalty = defaults.llm.penalty;
}

GateCheck check_gate_file(const std::string& path) {
  GateCompiler compiler({path}, {.any = false}, false);
  const GateModule module = compiler.load();
  return {module.try_out(), compiler.seconds()};
}

}  // namespace sllmr
