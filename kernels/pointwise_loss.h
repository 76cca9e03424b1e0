// The LLM's score as a target for the logit of its (user, item): the pointwise ablation of paper.md, with the
// formulas of the issue that asked for it, since the paper only names it.
#pragma once

#include <cstdint>

#include "kernels/gates/gate_args.h"
#include "kernels/loss_head.h"

namespace sllmr {

/// Of a logit s with p = sigmoid(s) and a target t in [0, 1]. mse: (p - t)^2. bce: -t log p - (1 - t) log(1 -
/// p). logit: (s - log(t / (1 - t)))^2, t kept within [0.01, 0.99], for models whose logits are no log-odds.
enum class PointwiseLoss : int { mse, bce, logit };

/// weight times the mean over the judged rows, two a pair, of alpha times their loss. Pairs that were left
/// out as their alpha is 0 count in the mean. Writes the gradients of the judged rows and counts them:
/// GateColumns::pairs, pair_alpha, pair_hinge (the sum over pairs of the mean of alpha * loss) and the
/// buckets.
struct PointwiseHead {
  const float* logits;    // of the batch
  const HeadPair* pairs;  // [n_pairs]; no two share a row
  std::int64_t n_pairs;
  std::int64_t left_out = 0;  // pairs
  const float* targets;       // [2 * n_pairs]: of row_a, of row_b
  PointwiseLoss loss;
  float weight;
  const float* uncertainties = nullptr;  // of the batch, of passes; null: gate.uncertainty of the logits
  GateArgs gate;                         // alpha of each row; its parameters get no gradient
  std::int64_t first_slot = 0;           // pair k adds its telemetry to slot first_slot + k
  float* d_logits;                       // of the batch; the judged rows' are written
};

}  // namespace sllmr
