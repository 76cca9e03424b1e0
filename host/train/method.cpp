#include "host/train/method.h"

namespace sllmr {

namespace {

std::vector<std::string> names_of(const std::vector<GatePart>& parts) {
  std::vector<std::string> names;
  for (const GatePart& part : parts) names.emplace_back(part.name);
  return names;
}

const GatePart* known_part(const Config& config, const char* key, const std::vector<GatePart>& parts,
                           const std::string& name) {
  require_known_name(config, key, names_of(parts));
  return find_gate_part(parts, name);
}

}  // namespace

std::vector<std::string> method_names() {
  std::vector<std::string> names = {"none", "global"};
  for (const auto* parts : {&gate_objectives(), &gate_rules()}) {
    for (const GatePart& part : *parts) names.emplace_back(part.name);
  }
  return names;
}

Method resolve_method(const Config& config) {
  require_known_name(config, "method", method_names());
  const std::string word = config.method == "global" ? "always" : config.method;
  Method method{config.method, config.method != "none", nullptr, nullptr};
  if (!method.uses_llm) return method;
  method.objective = find_gate_part(gate_objectives(), word);
  method.rule = find_gate_part(gate_rules(), word);
  if (method.objective != nullptr) {
    require_not_set(config, "gate.objective", "method=" + config.method + " names the objective");
    method.rule = known_part(config, "gate.rule", gate_rules(), config.gate.rule);
  } else {
    require_not_set(config, "gate.rule", "method=" + config.method + " names the rule");
    method.objective = known_part(config, "gate.objective", gate_objectives(), config.gate.objective);
  }
  return method;
}

}  // namespace sllmr
