// The gated penalty of pairs whose logits are another program's: what a training loop that is not ours calls
// (python/sllmr/torch).
#pragma once

#include <cstdint>

#include "kernels/exec/run.h"
#include "kernels/gates/gate_args.h"

namespace sllmr {

/// Numbers of pairs, `stride` elements apart; null: not given.
struct PairColumn {
  const float* data = nullptr;
  std::int64_t stride = 1;
};

/// Two losses of each pair and their slopes. The penalty is the model's loss, lambda included, with the
/// gate's weight a constant; 0 of a probe pair. The objective is the gate's loss, with the logits constants;
/// 0 of a probe pair that does not teach it. Of a guiding pair the LLM prefers a; of a probe pair a is the
/// probe. On the CPU scores that say otherwise, or outside [0, 1], throw Error; on a GPU looking would cost a
/// wait.
template <class Real>
struct SelectivePairs {
  GateArgs gate;  // of registered parts; read: those, its settings and `running`
  std::int64_t n = 0;
  const Real *logits_a = nullptr, *logits_b = nullptr;   // [n], which the penalty pulls
  const Real *seen_a = nullptr, *seen_b = nullptr;       // [n], the same as the gate sees them
  const float *scores_a = nullptr, *scores_b = nullptr;  // [n], in [0, 1]
  const bool* probe = nullptr;                           // [n]; null: all pairs guide
  PairColumn cosine;                                     // see PairContext; 0 where it is not given
  /// In the order of kGateSignals, of the sides a and b. What is not given of uncertainty, logit and
  /// score_gap comes from seen logits and scores; all else is NaN, so that a rule that reads it tells.
  PairColumn signals[2][kGateSignalCount];
  const Real* theta = nullptr;                    // [n_params]
  Real *penalty = nullptr, *objective = nullptr;  // [n]
  Real *alpha = nullptr, *weight = nullptr;       // [n], of the pair; the weight over lambda, 0 of probes
  Real *penalty_by_a = nullptr, *penalty_by_b = nullptr;  // [n], slopes by the logits
  Real* objective_by_theta = nullptr;                     // [n_params x n]; null: not asked for
  Real scale = 1;                                         // of all slopes
};

}  // namespace sllmr
