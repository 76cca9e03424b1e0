// What stands on top of a deep backbone: base loss, gate, penalty and all their gradients, from logits alone.
#pragma once

#include <cstdint>

#include "kernels/choices.h"
#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"
#include "kernels/gates/gate_args.h"
#include "kernels/pair_sampler.h"

namespace sllmr {

/// A guiding or probe pair whose two rows stand in the batch.
struct HeadPair {
  LlmPair pair;
  Id user;
  std::int32_t row_a, row_b;  // of the batch
  std::int32_t probe;         // 1: for the gate alone
  std::int32_t row = 0;       // the training row that drew the pair, of the same user
};

/// Loss of a batch: the mean of weight * base loss over its training rows, plus the sum of lambda *
/// penalty over its pairs, divided by as many too (paper.md, section 1; see gate_pair). Writes the gradient
/// of every logit, and adds base loss, gate gradient and telemetry to the slots. The penalty acts on logits.
struct LossHead {
  const float* logits = nullptr;   // [rows, then those of the pairs]
  const float* targets = nullptr;  // [rows], in [0, 1]: labels, or soft; of bpr: not read
  const float* weights = nullptr;  // [rows]; of bpr: the positives' count; null: 1 each
  std::int64_t rows = 0;           // training rows of the batch; even for bpr; 0 with probes alone
  std::int64_t mean_of = 0;        // of a part of a batch: training rows of the whole; 0: `rows`
  BaseLoss loss = BaseLoss::bce;
  const HeadPair* pairs = nullptr;  // [n_pairs]; no two share a row
  std::int64_t n_pairs = 0;
  const float* cosines = nullptr;        // [n_pairs], see PairContext; null: 0
  const float* uncertainties = nullptr;  // [as logits], of passes; null: gate.uncertainty of the logits
  GateArgs gate;              // gate.slots: one for each training row and pair, so that sums keep their order
  float* d_logits = nullptr;  // [as logits]
};

/// What the cosines of pairs are made of, without touching the slots: head.d_logits gets the gradient of the
/// base loss alone, d_hinge that of the sum of the guiding pairs' hinges, whatever their gates.
struct SplitGradients {
  LossHead head;
  float* d_hinge;  // [as logits]
};

/// cosines [head.n_pairs] from the two gradients on the user's vector of every row, base and hinge [as logits
/// x width]: between the base loss' on the pair's training row (bpr: on both rows of its triple) and the
/// hinge's on the pair's two rows together. 0 for probes and where the hinge, or one of the gradients, is 0.
struct PairCosines {
  LossHead head;
  Matrix<const float> base, hinge;
  float* cosines;
};

}  // namespace sllmr
