// Every optimiser of MF's tables, so that a new one is tested without editing tests.
#pragma once

#include <vector>

#include "kernels/optimizer_list.h"

namespace sllmr {

inline std::vector<OptimizerKind> all_optimizers() {
  std::vector<OptimizerKind> kinds;
  for (const OptimizerInfo& info : kOptimizers) kinds.push_back(info.kind);
  return kinds;
}

/// Those that train.mode=fused takes.
inline std::vector<OptimizerKind> fused_optimizers() {
  std::vector<OptimizerKind> kinds = all_optimizers();
  std::erase_if(kinds, [](OptimizerKind kind) { return info_of(kind).every_row; });
  return kinds;
}

}  // namespace sllmr
