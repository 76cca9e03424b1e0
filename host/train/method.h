// What `method=` means: which gate rule and which objective a run uses, if any.
#pragma once

#include <string>
#include <vector>

#include "host/config/config.h"
#include "kernels/gates/registry.h"

namespace sllmr {

/// A method is one word: `none` (the backbone alone), `global` (every pair counts fully), the name of a gate
/// objective (with gate.rule) or the name of a gate rule (with gate.objective).
struct Method {
  std::string name;
  bool uses_llm = false;
  const GatePart* rule = nullptr;       // null for none
  const GatePart* objective = nullptr;  // null for none
};

/// Every word that `method=` takes.
std::vector<std::string> method_names();
/// Throws Error for an unknown word, and where gate.rule or gate.objective contradicts the word.
Method resolve_method(const Config& config);

}  // namespace sllmr
