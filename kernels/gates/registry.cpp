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
    out.uses_logit = Part::uses_logit;
  } else if constexpr (std::is_base_of_v<GateObjective, Part>) {
    out.uses_probes = Part::uses_probes;
    out.uses_hinge = Part::uses_hinge;
    out.uses_price = Part::uses_price;
    out.uses_budget = Part::uses_budget;
    out.uses_cosine = Part::uses_cosine;
    out.skips_closed = Part::skips_closed;
    out.is_probability = Part::is_probability;
    out.rule = Part::rule;
    out.penalty = Part::penalty;
    out.least_side = Part::least_side;
    out.matched_probes = Part::matched_probes;
  } else {
    out.uses_margin = Part::uses_margin;
  }
  return out;
}

template <class... Parts>
std::vector<GatePart> list_of(PartList<Parts...>) {
  int id = 0;
  return {gate_part<Parts>(id++)...};
}

struct WeightOfPair {
  const PairContext& pair;
  float alpha_a, alpha_b;
  bool least;
  float weight = 0;

  template <class Objective>
  void operator()() {
    weight = pair_weight<Objective>(alpha_a, alpha_b, least, pair);
  }
};

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

const std::vector<GatePart>& gate_penalties() {
  static const std::vector<GatePart> parts = list_of(GatePenalties{});
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

float weight_of(const GateArgs& gate, float alpha_a, float alpha_b) {
  PairContext pair{};
  pair.lambda = gate.lambda;
  pair.mean_alpha = gate.running[0];
  pair.mean_hinge = gate.running[1];
  pair.price = gate.price;
  pair.budget_weight = gate.budget_weight;
  pair.budget_target = gate.budget_target;
  WeightOfPair visitor{pair, alpha_a, alpha_b, gate.least_side};
  GateObjectives::visit(gate.objective, visitor);
  return visitor.weight;
}

}  // namespace sllmr
