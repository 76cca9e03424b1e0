// Which keys of [gate] a gate has a use for.
#include <fmt/format.h>

#include <algorithm>

#include "host/guidance/gate_spec.h"

namespace sllmr {
namespace {

/// A key that one objective alone reads.
struct ObjectiveKey {
  std::string_view key, objective;
};
constexpr ObjectiveKey kObjectiveKeys[] = {
    {"gate.price", "agreement"}, {"gate.budget_weight", "budget"}, {"gate.budget_target", "budget"}};

bool is_named_by_method(const Config& config, const std::vector<GatePart>& parts) {
  return find_gate_part(parts, config.method == "global" ? "always" : config.method) != nullptr;
}

}  // namespace

bool uses_margin(const GateSpec& spec) {
  return spec.penalty->uses_margin || (spec.objective->uses_hinge && spec.rule->n_params > 0);
}

std::string why_gate_key_unused(const Config& config, const GateSpec& spec, std::string_view key) {
  const GatePart &rule = *spec.rule, &objective = *spec.objective;
  if (key == "gate.rule" && is_named_by_method(config, gate_rules())) {
    return fmt::format("method={} names the rule", config.method);
  }
  if (key == "gate.objective" && is_named_by_method(config, gate_objectives())) {
    return fmt::format("method={} names the objective", config.method);
  }
  if ((key == "gate.uncertainty" || key == "gate.mc_passes") && !rule.uses_uncertainty) {
    return fmt::format("the rule {} does not look at the uncertainty", rule.name);
  }
  if (key == "llm.margin" && !uses_margin(spec)) {
    return fmt::format("llm.penalty={} has no margin", spec.penalty->name);
  }
  const auto* own = std::ranges::find(kObjectiveKeys, key, &ObjectiveKey::key);
  const bool is_learning =
      key == "gate.lr" || key == "gate.probe_rate" || key == "gate.probes" || own != std::end(kObjectiveKeys);
  if (is_learning && rule.n_params == 0) {
    return fmt::format("the rule {} has no parameters to learn", rule.name);
  }
  if (own != std::end(kObjectiveKeys) && own->objective != objective.name) {
    return fmt::format("the objective {} has none; see gate.objective={}", objective.name, own->objective);
  }
  if (key == "gate.mean_alpha" && !rule.uses_draw) {
    return fmt::format("the rule {} is not random; see gate.rule=random", rule.name);
  }
  if ((key == "gate.probe_rate" || key == "gate.probes") && !objective.uses_probes) {
    return fmt::format("the objective {} learns nothing from probes", objective.name);
  }
  if (key == "gate.skip_below" && rule.n_params > 0 && !objective.skips_closed) {
    return fmt::format("the objective {} learns from pairs with a shut gate too", objective.name);
  }
  return {};
}

}  // namespace sllmr
