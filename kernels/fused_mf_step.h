// The fused selective step: one pass, one group of lanes a training triple. Embedding lookup, BPR, the gated
// LLM penalty and the update of every touched row, in place. On CUDA rows that draw pairs have a kernel of
// their own beside the others'.
#pragma once

#include "kernels/exec/run.h"
#include "kernels/mf_args.h"

namespace sllmr {

/// Takes mf.rows training rows, asynchronously: rows see each other's updates in no fixed order (one row at
/// a time is exact; on the CPU rows with pairs wait until a group of 16 is taken side by side). Throws Error
/// for another width or optimiser.
struct FusedMfStep {
  int width;                // 32, 64, 128 or 256
  OptimizerKind optimizer;  // one that steps touched rows alone
  MfArgs mf;
  bool beyond_cache = false;  // see outgrow_cache(); says nothing of the results
};

/// Are tables of `rows` rows in all, with their optimiser's state, larger than what a CPU's caches keep?
/// Their rows are then asked for earlier.
inline bool outgrow_cache(std::int64_t rows, int width, OptimizerKind optimizer) {
  constexpr std::int64_t kCache = 16 << 20;
  return rows * width * static_cast<std::int64_t>(sizeof(float)) * (1 + info_of(optimizer).moments) > kCache;
}

}  // namespace sllmr
