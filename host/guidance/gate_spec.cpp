#include "host/guidance/gate_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

#include "host/guidance/gate_module.h"
#include "kernels/dense/dropout_mask.h"
#include "models/registry.h"

namespace sllmr {

namespace {

std::vector<std::string> names_of(const std::vector<GatePart>& parts) {
  std::vector<std::string> names;
  for (const GatePart& part : parts) names.emplace_back(part.name);
  return names;
}

const GatePart* known_part(const Config& config, const char* key, const std::vector<GatePart>& parts,
                           const std::string& name) {
  if (!is_gate_file(name)) require_known_name(config, key, names_of(parts));
  return find_gate_part_of(parts, name);
}

const GatePart* part_or_auto(const Config& config, const char* key, const std::vector<GatePart>& parts,
                             const std::string& name, std::string_view standard) {
  if (name == "auto") {
    const GatePart* part = find_gate_part(parts, standard);
    require(part != nullptr, fmt::format("the objective asks for {}={}, which there is not", key, standard));
    return part;
  }
  std::vector<std::string> names = names_of(parts);
  names.emplace_back("auto");
  if (!is_gate_file(name)) require_known_name(config, key, names);
  return find_gate_part_of(parts, name);
}

}  // namespace

GateSpec gate_spec(const Config& config) {
  const GateConfig& gate = config.gate;
  const std::string word = config.method == "global" ? "always" : config.method;
  const GateParts parts = gate_parts_of(config);
  GateSpec spec{.rule = find_gate_part(*parts.rules, word),
                .objective = find_gate_part(*parts.objectives, word)};
  if (spec.objective == nullptr) {
    spec.objective = known_part(config, "gate.objective", *parts.objectives, gate.objective);
  }
  if (spec.rule == nullptr) {
    spec.rule = part_or_auto(config, "gate.rule", *parts.rules, gate.rule, spec.objective->rule);
  }
  const bool learns = spec.rule->n_params > 0;
  // What the objective asks for is for a gate that learns from it.
  spec.penalty = part_or_auto(config, "llm.penalty", *parts.penalties, config.llm.penalty,
                              learns ? spec.objective->penalty : "hinge");
  // One replaced score spoils its pair.
  spec.least_side = gate.sides == GateConfig::Sides::automatic
                        ? spec.rule->knows_noise || (learns && spec.objective->least_side)
                        : gate.sides == GateConfig::Sides::least;
  spec.matched_probes = gate.probes == GateConfig::Probes::automatic
                            ? spec.objective->matched_probes
                            : gate.probes == GateConfig::Probes::matched;
  return spec;
}

void check_uncertainty(const Config& config, const GatePart& rule) {
  const BackboneInfo* backbone = find_backbone(config.model.name);
  const UncertaintyInfo& uncertainty = info_of(config.gate.uncertainty);
  if (backbone == nullptr || !uncertainty.needs_passes || !rule.uses_uncertainty) return;
  std::vector<std::string_view> others;
  for (const UncertaintyInfo& each : kUncertainties) {
    if (!each.needs_passes) others.push_back(each.name);
  }
  const auto refuse = [&](const std::string& reason) {
    throw Error(
        fmt::format("gate.uncertainty={} is the spread that dropout makes, and {}, or use "
                    "gate.uncertainty={}",
                    uncertainty.name, reason, fmt::join(others, " or ")));
  };
  if (!backbone->has_dropout)
    refuse(fmt::format("model.name={} has none: choose a deep model", backbone->name));
  if (!DropoutMask<float>(config.model.dropout, 0, 0, 0).active()) {
    refuse("model.dropout is 0, or too small to drop anything: set it above 2^-16");
  }
}

}  // namespace sllmr
