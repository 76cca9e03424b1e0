// InfoNCE (van den Oord et al., 2018): each anchor is to be nearer to its own candidate than to the others.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"
#include "kernels/gates/gate_args.h"

namespace sllmr {

/// scale times the sum over anchors r of -c[r, own] / tau + log sum over k of exp(c[r, k] / tau), c the
/// cosines of anchors and candidates. Replaces them by their gradients. Anchor r adds its loss, without the
/// scale, and the cosine with its own candidate to columns of slot first_slot + r. tau must be at least .05,
/// so that no exponential of a cosine's distance to 1 vanishes.
struct InfoNce {
  Matrix<float> cosines;  // [anchors x candidates]: in cosines, out gradients
  const Id* own;          // [anchors]: the own candidate; null: first_own + r
  std::int64_t first_own = 0;
  float temperature;
  float scale;
  GateArgs gate;  // its slots alone are used
  std::int64_t first_slot = 0;
  int loss_column, cosine_column;  // of GateColumns
};

}  // namespace sllmr
