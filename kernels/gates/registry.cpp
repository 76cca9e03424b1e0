#include "kernels/gates/registry.h"

#include "kernels/exec/random.h"
#include "kernels/gates/gate.h"
#include "kernels/gates/parts.h"

namespace sllmr {

namespace {

template <class Rule>
constexpr bool uses_draw() {
  if constexpr (requires { Rule::uses_draw; }) return Rule::uses_draw;
  return false;
}

/// Unless it says no: passes that nobody reads cost time, missing ones the run.
template <class Rule>
constexpr bool uses_uncertainty() {
  if constexpr (requires { Rule::uses_uncertainty; }) return Rule::uses_uncertainty;
  return true;
}

template <class... Rules>
std::vector<GatePart> list_rules(PartList<Rules...>) {
  int id = 0;
  return {GatePart{.id = id++,
                   .name = Rules::name,
                   .summary = Rules::summary,
                   .n_params = Rules::n_params,
                   .uses_draw = uses_draw<Rules>(),
                   .uses_uncertainty = uses_uncertainty<Rules>()}...};
}

template <class Objective>
constexpr bool skips_closed() {
  if constexpr (requires { Objective::skips_closed; }) return Objective::skips_closed;
  return false;
}

template <class... Objectives>
std::vector<GatePart> list_objectives(PartList<Objectives...>) {
  int id = 0;
  return {GatePart{.id = id++,
                   .name = Objectives::name,
                   .summary = Objectives::summary,
                   .uses_probes = Objectives::uses_probes,
                   .uses_cosine = Objectives::uses_cosine,
                   .skips_closed = skips_closed<Objectives>()}...};
}

struct InitialParams {
  std::uint64_t seed;
  std::vector<float> params;

  template <class Rule>
  void operator()() {
    params.resize(Rule::n_params);
    if constexpr (requires { Rule::initial(0, 0.0F); }) {
      for (int k = 0; k < Rule::n_params; ++k) {
        const Draw draw = philox(seed, 0, static_cast<std::uint64_t>(k), Purpose::init_gate);
        params[static_cast<std::size_t>(k)] = Rule::initial(k, normal(draw.word[0], draw.word[1]));
      }
    }
  }
};

}  // namespace

const std::vector<GatePart>& gate_rules() {
  static const std::vector<GatePart> parts = list_rules(GateRules{});
  return parts;
}

const std::vector<GatePart>& gate_objectives() {
  static const std::vector<GatePart> parts = list_objectives(GateObjectives{});
  return parts;
}

const GatePart* find_gate_part(const std::vector<GatePart>& parts, std::string_view name) {
  for (const GatePart& part : parts) {
    if (part.name == name) return &part;
  }
  return nullptr;
}

std::vector<float> initial_gate_params(int rule, std::uint64_t seed) {
  InitialParams visitor{seed, {}};
  GateRules::visit(rule, visitor);
  return visitor.params;
}

float alpha_of(const GateArgs& gate, const GateSignals& z) {
  return gate_alpha(gate, z);
}

}  // namespace sllmr
