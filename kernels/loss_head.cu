#include "kernels/loss_head.h"

#include "kernels/exec/launch.h"
#include "kernels/gates/gate.h"
#include "kernels/gates/module/run.h"
#include "kernels/logit_loss.h"

namespace sllmr {

namespace {

SLLMR_HD LossAndSlope clamped_bce(float logit, float target) {
  const float p = 1.0F / (1.0F + std::exp(-logit));
  const auto clamped_log = [](float x) {
    const float y = std::log(x);
    return y < -100.0F ? -100.0F : y;
  };
  const float loss = -(target * clamped_log(p) + (1.0F - target) * clamped_log(1.0F - p));
  const float both = p * (1.0F - p);
  return {loss, (p - target) / (both < 1e-12F ? 1e-12F : both) * both};
}

/// How many items the base loss has: one a row, or one every two rows.
std::int64_t base_items(const LossHead& args) {
  require(args.loss != BaseLoss::bpr || args.rows % 2 == 0, "loss_head: bpr takes rows two by two");
  return args.loss == BaseLoss::bpr ? args.rows / 2 : args.rows;
}

/// Writes the gradient of item k of the base loss; returns its loss, that of both rows for bpr.
SLLMR_HD float base_gradient(const LossHead& args, std::int64_t k) {
  const bool pairwise = args.loss == BaseLoss::bpr;
  const float weight = args.weights == nullptr ? 1.0F : args.weights[pairwise ? 2 * k : k];
  const float mean = weight / static_cast<float>(args.mean_of == 0 ? args.rows : args.mean_of);
  if (pairwise) {
    const LossAndSlope x = log_sigmoid_loss(args.logits[2 * k] - args.logits[2 * k + 1]);
    args.d_logits[2 * k] = 2.0F * mean * x.slope;
    args.d_logits[2 * k + 1] = -2.0F * mean * x.slope;
    return weight * 2.0F * x.loss;  // counts for both rows, so that the mean over rows is that over triples
  }
  const float logit = args.logits[k], target = args.targets[k];
  const LossAndSlope x =
      args.loss == BaseLoss::clamped_bce ? clamped_bce(logit, target) : binary_cross_entropy(logit, target);
  args.d_logits[k] = mean * x.slope;
  return weight * x.loss;
}

/// Items 0 .. base - 1 are those of the base loss; then the LLM pairs.
struct HeadItem {
  LossHead args;
  std::int64_t base;

  SLLMR_HD float uncertainty(std::int32_t row) const {
    return uncertainty_of(args.uncertainties, row, args.logits[row], args.gate.uncertainty);
  }

  template <class Lanes>
  SLLMR_HD void llm_pair(Lanes lanes, std::int64_t k) const {
    const HeadPair& both = args.pairs[k];
    float* slot = args.gate.slots + (base + k) * GateColumns::stride;
    const float cosine = args.cosines == nullptr ? 0.0F : args.cosines[k];
    const GatedPairs<1> gated = gate_pair(lanes, args.gate, slot, both.user, both.pair,
                                          args.logits[both.row_a], args.logits[both.row_b], cosine,
                                          both.probe != 0, uncertainty(both.row_a), uncertainty(both.row_b));
    // A batch of probes alone has no rows.
    const std::int64_t all = args.mean_of == 0 ? args.rows : args.mean_of;
    const float rows = all == 0 ? 1.0F : static_cast<float>(all);
    args.d_logits[both.row_a] = gated.push_a[0] / rows;
    args.d_logits[both.row_b] = gated.push_b[0] / rows;
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    if (item < base) {
      float* slot = args.gate.slots + item * GateColumns::stride;
      slot[GateColumns::loss] += base_gradient(args, item);
      slot[GateColumns::rows] += args.loss == BaseLoss::bpr ? 2.0F : 1.0F;
    } else {
      llm_pair(lanes, item - base);
    }
  }
};

/// Has the pair a hinge that would pull?
SLLMR_HD bool pulls(const LossHead& args, const HeadPair& both) {
  const float slack = args.gate.margin - (args.logits[both.row_a] - args.logits[both.row_b]);
  return both.probe == 0 && !(slack <= 0.0F);
}

struct SplitItem {
  SplitGradients split;
  std::int64_t base;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t item) const {
    const LossHead& args = split.head;
    float* d_hinge = split.d_hinge;
    if (item < base) {
      base_gradient(args, item);
      const std::int64_t rows = args.loss == BaseLoss::bpr ? 2 : 1;
      for (std::int64_t row = rows * item; row < rows * (item + 1); ++row) d_hinge[row] = 0;
      return;
    }
    const HeadPair& both = args.pairs[item - base];
    const float pull = pulls(args, both) ? 1.0F : 0.0F;
    args.d_logits[both.row_a] = args.d_logits[both.row_b] = 0;
    d_hinge[both.row_a] = -pull;
    d_hinge[both.row_b] = pull;
  }
};

/// Item: one pair.
struct PairCosine {
  PairCosines args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    const HeadPair& both = args.head.pairs[k];
    if (!pulls(args.head, both)) {
      if (lanes.lane() == 0) args.cosines[k] = 0;
      return;
    }
    const int width = static_cast<int>(args.base.cols);
    const bool triple = args.head.loss == BaseLoss::bpr;
    const float* first = args.base.row(triple ? both.row / 2 * 2 : both.row);
    const float* second = triple ? args.base.row(both.row / 2 * 2 + 1) : nullptr;
    const float* a = args.hinge.row(both.row_a);
    const float* b = args.hinge.row(both.row_b);
    float product = 0, of_base = 0, of_hinge = 0;
    for (int d = lanes.lane(); d < width; d += Lanes::size) {
      const float x = second == nullptr ? first[d] : first[d] + second[d], y = a[d] + b[d];
      product += x * y;
      of_base += x * x;
      of_hinge += y * y;
    }
    product = lanes.sum(product);
    const float norms = std::sqrt(lanes.sum(of_base)) * std::sqrt(lanes.sum(of_hinge));
    if (lanes.lane() == 0) args.cosines[k] = norms == 0.0F ? 0.0F : product / norms;
  }
};

void run_here(const Context& context, const LossHead& args) {
  if (run_in_module(context, args, args.gate, &GateKernels::loss_head)) return;
  const std::int64_t base = base_items(args);
  require(base + args.n_pairs <= args.gate.n_slots, "loss_head: too few accumulator slots");
  launch_each(context, "loss_head", base + args.n_pairs, HeadItem{args, base});
}

void run_here(const Context& context, const SplitGradients& args) {
  const std::int64_t base = base_items(args.head);
  launch_each(context, "split_gradients", base + args.head.n_pairs, SplitItem{args, base});
}

void run_here(const Context& context, const PairCosines& args) {
  launch(context, "pair_cosines", args.head.n_pairs, PairCosine{args});
}

}  // namespace

SLLMR_KERNEL(LossHead)
SLLMR_KERNEL(SplitGradients)
SLLMR_KERNEL(PairCosines)

}  // namespace sllmr
