// Closing a chunk of rows.
#pragma once

#include <cstdint>

#include "kernels/exec/run.h"
#include "kernels/gates/columns.h"

namespace sllmr {

/// Sums the accumulators, takes one Adam step on the gate's parameters, keeps the running means and the
/// epoch's telemetry. The gate's loss is the mean over the chunk's training rows, as the model's is. Sums run
/// in a fixed order, so a fixed filling of slots gives fixed bits.
struct GateStep {
  float* slots;  // [n_slots x GateColumns::stride]; zero afterwards
  int n_slots;
  int n_params;
  bool holds_out;  // GateArgs::holds_out: whether the columns of reliability are added to
  float learning_rate;
  std::int32_t step;  // gate steps so far, this one included
  float* theta;       // [n_params]
  float* first;       // [n_params] Adam's m
  float* second;      // [n_params] Adam's v
  float* running;     // {mean alpha, mean alpha * hinge}: half-life of about 7 chunks
  double* totals;     // [GateColumns::used] sums since they were last cleared
  float* scratch;     // [GateColumns::used]
};

}  // namespace sllmr
