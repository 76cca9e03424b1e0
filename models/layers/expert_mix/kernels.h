// A mixture of experts whose weights are a softmax, row by row.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// What `n` experts gave, each [rows x width].
template <class Real>
struct Experts {
  static constexpr int kMax = 16;
  int n = 0;
  Matrix<Real> of[kMax] = {};
};

/// gate [rows x n] holds logits and becomes their softmax; out [rows x width] = the sum over the experts of
/// gate times what they gave.
template <class Real>
struct MixOfExperts {
  Experts<Real> experts;
  Matrix<Real> gate, out;
};

/// From d_out [rows x width]: d_experts, of the shapes of the experts, and d_gate [rows x n], the gradient of
/// the logits.
template <class Real>
struct MixOfExpertsBackward {
  Experts<Real> experts;
  Matrix<const Real> gate, d_out;  // gate: the softmax
  Experts<Real> d_experts;
  Matrix<Real> d_gate;
};

}  // namespace sllmr
