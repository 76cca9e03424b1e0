// What a gate tells of an epoch: guidance.jsonl, summary.json and the tables have it from here.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "host/guidance/gate_spec.h"
#include "host/guidance/guidance.h"

namespace sllmr {

/// From the epoch's sums, by GateColumns. `holds_out`: some probes were kept from the gate.
nlohmann::json gate_telemetry(const GateSpec& spec, bool holds_out, const std::vector<float>& parameters,
                              const std::vector<double>& totals);
/// What reports show of it.
std::vector<GuidanceColumn> gate_columns();

}  // namespace sllmr
