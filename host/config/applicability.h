// Which keys have a use under which others.
#pragma once

#include "host/config/config.h"

namespace sllmr {

/// Throws Error "'llm.noise_slice' (recipe.toml:4) does not apply: llm.noise is 0" for the first key that was
/// set and has no use beside the others. Keys of backbones and trainers are checked where these are made, as
/// they are known there.
void check_applicability(const Config& config);

}  // namespace sllmr
