// Ranking distillation of DLLM2Rec (arXiv 2405.00338): a weighted logistic loss of rows that join a batch.
#pragma once

#include <cstdint>

#include "kernels/exec/run.h"
#include "kernels/gates/gate_args.h"

namespace sllmr {

/// An appended row of logit s: weight * -log sigmoid(sign * s + offset).
struct DistilledRow {
  float weight;
  float sign;    // 1 of an item of the teacher's list, -1 of a negative
  float offset;  // 0, but for the negatives of the release: 1
};

/// scale times the sum of the rows' losses. Writes their gradients, and adds their losses, without the scale,
/// to GateColumns::pair_hinge.
struct DistillationHead {
  const float* logits;       // [n], of the appended rows
  const DistilledRow* rows;  // [n]
  std::int64_t n;
  float scale;
  GateArgs gate;                // its slots alone are used
  std::int64_t first_slot = 0;  // row k adds its loss to slot first_slot + k
  float* d_logits;              // [n], of the appended rows
};

}  // namespace sllmr
