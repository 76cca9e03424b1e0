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
/// out as their alpha is 0 count in the mean.
struct PointwiseArgs {
  const float* logits = nullptr;    // of the batch
  const HeadPair* pairs = nullptr;  // [n_pairs]; no two share a row
  std::int64_t n_pairs = 0;
  std::int64_t left_out = 0;       // pairs
  const float* targets = nullptr;  // [2 * n_pairs]: of row_a, of row_b
  PointwiseLoss loss = PointwiseLoss::mse;
  float weight = 0;
  const float* uncertainties = nullptr;  // of the batch, of passes; null: gate.uncertainty of the logits
  GateArgs gate;                         // alpha of each row; its parameters get no gradient
  std::int64_t first_slot = 0;           // pair k adds its telemetry to slot first_slot + k
  float* d_logits = nullptr;             // of the batch; the judged rows' are written
};

void pointwise_loss_on(OnCpu, const Context& context, const PointwiseArgs& args);
void pointwise_loss_on(OnCuda, const Context& context, const PointwiseArgs& args);

/// Writes the gradients of the judged rows and counts them: GateColumns::pairs, pair_alpha, pair_hinge (the
/// sum over pairs of the mean of alpha * loss) and the buckets.
inline void pointwise_loss(const Context& context, const PointwiseArgs& args) {
  on_device(context, [&](auto device) { pointwise_loss_on(device, context, args); });
}

}  // namespace sllmr
