// What a gate is made of, and the configuration that says so.
#pragma once

#include <string>
#include <string_view>

#include "host/config/config.h"
#include "kernels/gates/parts.h"

namespace sllmr {

/// Null: no gate.
struct GateSpec {
  const GatePart* rule = nullptr;
  const GatePart* objective = nullptr;
  const GatePart* penalty = nullptr;
  bool least_side = false;      // gate.sides
  bool matched_probes = false;  // gate.probes
};

/// What config.method, llm.penalty and [gate] make the gate of. Throws Error for unknown names.
GateSpec gate_spec(const Config& config);
/// Does such a gate look at llm.margin?
bool uses_margin(const GateSpec& spec);
/// Why such a gate has no use for a key of [gate] or [llm]; empty where it has, and for other keys.
std::string why_gate_key_unused(const Config& config, const GateSpec& spec, std::string_view key);
/// Throws Error where the rule reads an uncertainty that the backbone of the configuration has not.
void check_uncertainty(const Config& config, const GatePart& rule);

}  // namespace sllmr
