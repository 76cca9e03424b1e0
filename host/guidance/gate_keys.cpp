// Which keys of [gate] a gate has a use for.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>
#include <vector>

#include "host/guidance/gate_spec.h"

namespace sllmr {
namespace {

bool is_named_by_method(const Config& config, const std::vector<GatePart>& parts) {
  return find_gate_part(parts, config.method == "global" ? "always" : config.method) != nullptr;
}

/// The objectives that have the property.
std::vector<std::string_view> names_with(bool GatePart::*property) {
  std::vector<std::string_view> names;
  for (const GatePart& objective : gate_objectives()) {
    if (objective.*property) names.push_back(objective.name);
  }
  return names;
}

}  // namespace

bool uses_margin(const GateSpec& spec) {
  // The cosine is that of the hinge's gradient.
  const bool learns_from_hinge = spec.objective->uses_hinge || spec.objective->uses_cosine;
  return spec.penalty->uses_margin || (learns_from_hinge && spec.rule->n_params > 0);
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
  const bool is_price = key == "gate.price",
             is_budget = key == "gate.budget_weight" || key == "gate.budget_target";
  const bool is_of_probes = key == "gate.probe_rate" || key == "gate.probes";
  if ((key == "gate.lr" || is_of_probes || is_price || is_budget) && rule.n_params == 0) {
    return fmt::format("the rule {} has no parameters to learn", rule.name);
  }
  if ((is_price && !objective.uses_price) || (is_budget && !objective.uses_budget)) {
    return fmt::format(
        "the objective {} has none; see gate.objective={}", objective.name,
        fmt::join(names_with(is_price ? &GatePart::uses_price : &GatePart::uses_budget), " or "));
  }
  if (key == "gate.mean_alpha" && (!rule.uses_draw || rule.knows_noise)) {
    return fmt::format("the rule {} is not random; see gate.rule=random", rule.name);
  }
  if (is_of_probes && !objective.uses_probes) {
    return fmt::format("the objective {} learns nothing from probes", objective.name);
  }
  if (key == "gate.skip_below" && rule.n_params > 0 && !objective.skips_closed) {
    return fmt::format("the objective {} learns from pairs with a shut gate too", objective.name);
  }
  return {};
}

}  // namespace sllmr
