// Which keys a run has no use for.
#pragma once

#include <vector>

#include "host/config/applicability.h"

namespace sllmr {

/// Every key that a run of `config` has no use for, set or not: another value of it would give the same run.
/// Throws Error for an unknown method or model, and for a configuration that does not fit the method.
std::vector<UnusedKey> unused_keys(const Config& config);

}  // namespace sllmr
