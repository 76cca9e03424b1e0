// What a configuration may take over from a finished run.
#pragma once

#include <string>

namespace sllmr {

/// How far the gate of the run in `folder` believed the LLM in its last epoch: guidance.mean_weight of its
/// summary.json. Throws Error where there is no such run, or no such figure in [0, 1].
double mean_weight_of_run(const std::string& folder);

}  // namespace sllmr
