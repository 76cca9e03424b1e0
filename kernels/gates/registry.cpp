#include "kernels/gates/registry.h"

#include <type_traits>

#include "kernels/exec/random.h"
#include "kernels/gates/gate.h"
#include "kernels/gates/parts.h"

namespace sllmr {

namespace {

template <class Part>
GatePart gate_part(int id) {
  GatePart out{.id = id, .name = Part::name, .summary = Part::summary};
  if constexpr (std::is_base_of_v<GateRule, Part>) {
    out.n_params = Part::n_params;
    out.uses_draw = Part::uses_draw;
    out.uses_uncertainty = Part::uses_uncertainty;
  } else {
    out.uses_probes = Part::uses_probes;
    out.uses_cosine = Part::uses_cosine;
    out.skips_closed = Part::skips_closed;
  }
  return out;
}

template <class... Parts>
std::vector<GatePart> list_of(PartList<Parts...>) {
  int id = 0;
  return {gate_part<Parts>(id++)...};
}

struct InitialParams {
  std::uint64_t seed;
  std::vector<float> params;

  template <class Rule>
  void operator()() {
    for (int k = 0; k < Rule::n_params; ++k) {
      const Draw draw = philox(seed, 0, static_cast<std::uint64_t>(k), Purpose::init_gate);
      params.push_back(Rule::initial(k, normal(draw.word[0], draw.word[1])));
    }
  }
};

}  // namespace

const std::vector<GatePart>& gate_rules() {
  static const std::vector<GatePart> parts = list_of(GateRules{});
  return parts;
}

const std::vector<GatePart>& gate_objectives() {
  static const std::vector<GatePart> parts = list_of(GateObjectives{});
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
