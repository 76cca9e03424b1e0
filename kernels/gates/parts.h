// The registered rules, objectives and penalties by name. Who needs no more than this is not compiled again
// when one changes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/gates/gate_args.h"

namespace sllmr {

/// One registered rule, objective or penalty, for listings and look-up by name.
struct GatePart {
  int id;
  std::string_view name;
  std::string_view summary;
  int n_params = 0;               // of a rule
  bool uses_draw = false;         // of a rule: reads GateSignals::draw
  bool knows_noise = false;       // of a rule: GateRule::knows_noise
  bool uses_uncertainty = false;  // of a rule: reads GateSignals::uncertainty
  bool uses_logit = false;        // of a rule: reads GateSignals::logit
  bool uses_margin = false;       // of a penalty: reads GuidingPair::margin
  bool uses_probes = false;       // of an objective: reads PairContext::agreement, so that probes teach it
  bool uses_hinge = false;        // and, as the following, its namesake there
  bool uses_cosine = false, uses_price = false, uses_budget = false;
  bool uses_means = false;    // of an objective: reads mean_alpha or mean_hinge
  bool skips_closed = false;  // of an objective, as the following
  bool is_probability = false;
  std::string_view rule = {}, penalty = {};
  bool least_side = false, matched_probes = false;
  int module = 0;  // GateArgs::module
};
const std::vector<GatePart>& gate_rules();
const std::vector<GatePart>& gate_objectives();
const std::vector<GatePart>& gate_penalties();
/// The part called `name`, or null.
const GatePart* find_gate_part(const std::vector<GatePart>& parts, std::string_view name);

/// Starting values of a rule's parameters: what its initial() says. `rule`: the id of a registered one.
std::vector<float> initial_gate_params(int rule, std::uint64_t seed);
std::vector<float> initial_gate_params(const GatePart& rule, std::uint64_t seed);

/// alpha(u, i) in [0, 1] of a gate whose parameters lie on the host, given all signals but the draw.
float alpha_of(const GateArgs& gate, Id user, Id item, const GateSignals& z);
/// Of such a gate, what a guiding pair weighs in the model's loss over lambda whose sides have these alphas.
float weight_of(const GateArgs& gate, float alpha_a, float alpha_b);

}  // namespace sllmr
