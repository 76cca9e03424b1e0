// Which keys have a use under which others.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "host/config/config.h"

namespace sllmr {

/// A key that has no use in a configuration, whether it was set or not.
struct UnusedKey {
  std::string key;
  std::string reason;      // "llm.noise is 0"
  bool by_method = false;  // it is the method that has no use for it
};

/// Those that follow from other keys alone; host/train/unused_keys.h has all.
std::vector<UnusedKey> inapplicable_keys(const Config& config);

/// Throws Error "'llm.noise_slice' (recipe.toml:4) does not apply: llm.noise is 0" for the first of `unused`
/// that was set. As a recipe is for several methods, what the method has no use for is refused on the command
/// line only.
void require_used(const Config& config, std::span<const UnusedKey> unused);

}  // namespace sllmr
