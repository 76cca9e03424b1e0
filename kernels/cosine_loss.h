// Rows of vectors that are alike pull each other into one direction.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"
#include "kernels/gates/gate_args.h"

namespace sllmr {

/// Two rows of a matrix. alpha, in [0, 1], says how far they are to be alike.
struct AlikeRows {
  std::int32_t a, b;
  float alpha;
};

/// scale times the sum over the pairs of alpha (1 - cos(v_a, v_b)), the cosine of v / sqrt(|v|^2 + 1e-8).
/// Writes the gradients of the pairs' rows; others stay as they are. Of pair k slot first_slot + k gets in
/// GateColumns::pairs 1, in pair_alpha alpha, in pair_hinge the loss without the scale and in pair_weight the
/// cosine.
struct CosineLoss {
  Matrix<const float> v;   // [rows x width]
  const AlikeRows* pairs;  // [n]; no two share a row
  std::int64_t n;
  float scale;
  GateArgs gate;  // its slots alone are used
  std::int64_t first_slot = 0;
  Matrix<float> d_v;  // [rows x width]
};

}  // namespace sllmr
