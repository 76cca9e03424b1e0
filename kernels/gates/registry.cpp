#include "kernels/gates/registry.h"

#include <iterator>
#include <limits>
#include <type_traits>

#include "kernels/exec/random.h"
#include "kernels/gates/gate.h"
#include "kernels/gates/module/module.h"
#include "kernels/gates/parts.h"

namespace sllmr {

namespace {

/// Does what `outcome` makes of `facts`, a number or a dual, depend on this member? Asked of several values,
/// of which one is NaN: a formula may take a value for a special case.
template <class Facts, class Outcome>
bool reads(Facts facts, float Facts::*member, const Outcome& outcome) {
  const auto usual = outcome(facts);
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), -1.0F, -0.5F, 0.0F, 0.125F, 1.0F, 4.0F}) {
    facts.*member = value;
    const auto other = outcome(facts);
    if (other.value != usual.value) return true;  // NaN is unlike all
    for (int k = 0; k < std::ssize(usual.slope); ++k) {
      if (other.slope[k] != usual.slope[k]) return true;
    }
  }
  return false;
}

enum class In { loss, loss_or_weight };

/// Of a guiding pair or of a probe, whose sides have a low or a high alpha.
template <class Objective>
bool objective_reads(float PairContext::*member, In in = In::loss_or_weight) {
  for (const float low : {0.125F, 0.625F}) {
    const auto loss = [low](const PairContext& pair) {
      Dual<float, 1> alpha(low + 0.125F);
      alpha.slope[0] = 1.0F;
      return Objective::loss(alpha, pair);
    };
    const auto weight = [low](const PairContext& pair) {
      return Dual<float, 1>(pair_weight<Objective>(low + 0.25F, low, false, pair));
    };
    for (const bool probe : {false, true}) {
      const PairContext pair{.lambda = 0.5F,
                             .hinge = probe ? 0.0F : 0.375F,
                             .cosine = probe ? 0.0F : 0.25F,
                             .probe = probe,
                             .agreement = probe ? 1.0F : 0.0F,
                             .mean_alpha = 0.5F,
                             .mean_hinge = 0.25F,
                             .price = 0.375F,
                             .budget_weight = 2.0F,
                             .budget_target = 0.25F};
      if (reads(pair, member, loss)) return true;
      if (in == In::loss_or_weight && reads(pair, member, weight)) return true;
    }
  }
  return false;
}

template <class Penalty>
bool penalty_reads(float GuidingPair::*member) {
  return reads(GuidingPair{.weight = 0.5F, .margin = 0.75F, .score_a = 0.875F, .score_b = 0.125F}, member,
               [](const GuidingPair& pair) {
                 return Penalty::loss(Dual<float, 1>(0.5F), Dual<float, 1>(0.25F), pair);
               });
}

template <class Part>
GatePart gate_part(int id) {
  GatePart out{.id = id, .name = Part::name, .summary = Part::summary};
  if constexpr (std::is_base_of_v<GateRule, Part>) {
    out.n_params = Part::n_params;
    out.uses_draw = Part::uses_draw;
    out.knows_noise = Part::knows_noise;
    out.uses_uncertainty = Part::uses_uncertainty;
    out.uses_logit = Part::uses_logit;
  } else if constexpr (std::is_base_of_v<GateObjective, Part>) {
    out.uses_probes = objective_reads<Part>(&PairContext::agreement, In::loss);  // else no probe teaches it
    out.uses_hinge = objective_reads<Part>(&PairContext::hinge);
    out.uses_cosine = objective_reads<Part>(&PairContext::cosine);
    out.uses_price = objective_reads<Part>(&PairContext::price);
    out.uses_budget = objective_reads<Part>(&PairContext::budget_weight) ||
                      objective_reads<Part>(&PairContext::budget_target);
    out.uses_means =
        objective_reads<Part>(&PairContext::mean_alpha) || objective_reads<Part>(&PairContext::mean_hinge);
    out.skips_closed = Part::skips_closed;
    out.is_probability = Part::is_probability;
    out.rule = Part::rule;
    out.penalty = Part::penalty;
    out.least_side = Part::least_side;
    out.matched_probes = Part::matched_probes;
  } else {
    out.uses_margin = penalty_reads<Part>(&GuidingPair::margin);
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

#if !defined(SLLMR_GATE_MODULE)
std::vector<float> initial_gate_params(const GatePart& rule, std::uint64_t seed) {
  return rule.module == 0 ? initial_gate_params(rule.id, seed)
                          : gate_module(rule.module).initial(rule.id, seed);
}
#endif

float alpha_of(const GateArgs& gate, Id user, Id item, const GateSignals& z) {
#if !defined(SLLMR_GATE_MODULE)
  if (gate.module != 0) return gate_module(gate.module).alpha(gate, user, item, z);
#endif
  return gate_alpha(gate, user, item, z);
}

float weight_of(const GateArgs& gate, float alpha_a, float alpha_b) {
#if !defined(SLLMR_GATE_MODULE)
  if (gate.module != 0) return gate_module(gate.module).weight(gate, alpha_a, alpha_b);
#endif
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
