// The registered rules and objectives by name. Who needs no more than this is not compiled again when one
// changes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/gates/gate_args.h"

namespace sllmr {

/// One registered rule or objective, for listings and look-up by name.
struct GatePart {
  int id;
  std::string_view name;
  std::string_view summary;
  int n_params = 0;               // of a rule
  bool uses_draw = false;         // of a rule: reads GateSignals::draw
  bool uses_uncertainty = false;  // of a rule: reads GateSignals::uncertainty
  bool uses_probes = false;       // of an objective
  bool uses_cosine = false;       // of an objective: reads PairContext::cosine
  bool skips_closed = false;      // of an objective: a guiding pair with alpha near 0 teaches it nothing
};
const std::vector<GatePart>& gate_rules();
const std::vector<GatePart>& gate_objectives();
/// The part called `name`, or null.
const GatePart* find_gate_part(const std::vector<GatePart>& parts, std::string_view name);

/// Starting values of a rule's parameters: what its initial() says.
std::vector<float> initial_gate_params(int rule, std::uint64_t seed);

/// alpha(u, i) in [0, 1] of a gate whose parameters lie on the host.
float alpha_of(const GateArgs& gate, const GateSignals& z);

}  // namespace sllmr
