// Where a figure comes from: machine, commit, date and data, for every report.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "host/config/config.h"
#include "kernels/exec/context.h"

namespace sllmr {

/// {"machine": {"cpu", "cores", "gpu"}, "commit", "date" (UTC, ISO 8601), "data_hash" (16 hex digits)}. `gpu`
/// is the device's name, empty on the CPU backend. `commit` ends in "-dirty" for a changed tree and is
/// "unknown" for a build outside a checkout, unless SLLMR_COMMIT was set in the environment of the build.
nlohmann::json provenance(const std::string& gpu, std::uint64_t data_hash);

/// "0.1.0 (5e2c6c4, CPU and CUDA)": what `sllmr --version` says.
std::string program_version();

/// The device that a run of this configuration has here. Throws Error where it is not there.
Device device_of(const Config& config);
/// The name of the context's GPU; empty on the CPU.
std::string gpu_name(const Context& context);

}  // namespace sllmr
