// Closing a chunk of rows: sums the accumulators, takes one Adam step on the gate's parameters, keeps the
// running means and the epoch's telemetry. Sums run in a fixed order, so a fixed filling of slots gives fixed
// bits.
#pragma once

#include <cstdint>

#include "kernels/exec/context.h"
#include "kernels/gates/columns.h"

namespace sllmr {

struct GateStepArgs {
  float* slots = nullptr;  // [n_slots x GateColumns::stride]; zero afterwards
  int n_slots = 0;
  int n_params = 0;
  float learning_rate = 0;
  std::int32_t step = 1;     // gate steps so far, this one included
  float* theta = nullptr;    // [n_params]
  float* first = nullptr;    // [n_params] Adam's m
  float* second = nullptr;   // [n_params] Adam's v
  float* running = nullptr;  // {mean alpha, mean alpha * hinge}: half-life of about 7 chunks
  double* totals = nullptr;  // [GateColumns::used] sums since they were last cleared
  float* scratch = nullptr;  // [GateColumns::used]
};

void gate_step_on(OnCpu, const Context& context, const GateStepArgs& args);
void gate_step_on(OnCuda, const Context& context, const GateStepArgs& args);

/// The gate's loss is the mean over the chunk's training rows, as the model's is.
inline void gate_step(const Context& context, const GateStepArgs& args) {
  on_device(context, [&](auto device) { gate_step_on(device, context, args); });
}

}  // namespace sllmr
