// The fused selective step: one pass, one group of lanes a training triple. Embedding lookup, BPR, the gated
// LLM penalty and the update of every touched row, in place. On CUDA rows that draw pairs have a kernel of
// their own beside the others'.
#pragma once

#include "kernels/exec/context.h"
#include "kernels/mf_args.h"

namespace sllmr {

void fused_mf_step_on(OnCpu, const Context& context, int width, OptimizerKind optimizer, const MfArgs& args);
void fused_mf_step_on(OnCuda, const Context& context, int width, OptimizerKind optimizer, const MfArgs& args);

/// Takes args.rows training rows, asynchronously: rows see each other's updates in no fixed order (one row at
/// a time is exact; on the CPU rows with pairs wait until a group of 16 is taken side by side). width: 32,
/// 64, 128 or 256; optimizer: sgd, adagrad or lazy_adam. Throws Error for others.
inline void fused_mf_step(const Context& context, int width, OptimizerKind optimizer, const MfArgs& args) {
  on_device(context, [&](auto device) { fused_mf_step_on(device, context, width, optimizer, args); });
}

}  // namespace sllmr
