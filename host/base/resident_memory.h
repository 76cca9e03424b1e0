// How much memory the process takes.
#pragma once

#include <cstdint>

namespace sllmr {

/// The most that was resident at a time since the process began, or since restart_peak_resident().
std::int64_t peak_resident_bytes();
/// Gives memory that was freed back to the system, and has the peak begin at what is left. False where the
/// system does not let it: the peak stays that of the process.
bool restart_peak_resident();

}  // namespace sllmr
