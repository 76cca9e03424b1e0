#include "kernels/loss_head.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

struct LossAndSlope {
  float loss, slope;  // by the logit
};

/// -log sigmoid(x) and its slope, without overflow.
SLLMR_HD LossAndSlope log_sigmoid_loss(float x) {
  const float decay = std::exp(-std::fabs(x));
  return {(x > 0 ? 0.0F : -x) + std::log1p(decay), -(x > 0 ? decay : 1.0F) / (1.0F + decay)};
}

SLLMR_HD LossAndSlope clamped_bce(float logit, float label) {
  const float p = 1.0F / (1.0F + std::exp(-logit));
  const auto clamped_log = [](float x) {
    const float y = std::log(x);
    return y < -100.0F ? -100.0F : y;
  };
  const float loss = -(label * clamped_log(p) + (1.0F - label) * clamped_log(1.0F - p));
  const float both = p * (1.0F - p);
  return {loss, (p - label) / (both < 1e-12F ? 1e-12F : both) * both};
}

/// Items 0 .. base - 1 are those of the base loss, one a row (bpr: one every two rows); then the LLM pairs.
struct LossHead {
  LossHeadArgs args;
  std::int64_t base;

  template <class Lanes>
  SLLMR_HD void base_loss(Lanes lanes, std::int64_t k) const {
    const float mean = 1.0F / static_cast<float>(args.rows);
    float* slot = args.gate.slots + k * GateColumns::stride;
    float loss = 0, rows = 1;
    if (args.loss == BaseLoss::bpr) {
      const LossAndSlope x = log_sigmoid_loss(args.logits[2 * k] - args.logits[2 * k + 1]);
      args.d_logits[2 * k] = 2.0F * mean * x.slope;
      args.d_logits[2 * k + 1] = -2.0F * mean * x.slope;
      loss = 2.0F * x.loss;  // counts for both rows, so that the mean over rows is that over triples
      rows = 2;
    } else {
      const float logit = args.logits[k], label = args.labels[k];
      LossAndSlope x{};
      if (args.loss == BaseLoss::clamped_bce) {
        x = clamped_bce(logit, label);
      } else {
        const float sign = label > 0.5F ? 1.0F : -1.0F;
        x = log_sigmoid_loss(sign * logit);
        x.slope *= sign;
      }
      args.d_logits[k] = mean * x.slope;
      loss = x.loss;
    }
    lanes.add(slot + GateColumns::loss, loss);
    lanes.add(slot + GateColumns::rows, rows);
  }

  template <class Lanes>
  SLLMR_HD void llm_pair(Lanes lanes, std::int64_t k) const {
    const HeadPair& both = args.pairs[k];
    float* slot = args.gate.slots + (base + k) * GateColumns::stride;
    const GatedPair gated = gate_pair(lanes, args.gate, slot, both.user, both.pair, args.logits[both.row_a],
                                      args.logits[both.row_b], 0.0F, both.probe != 0);
    // Written so that a NaN reaches the parameters, as in the base loss.
    const float push =
        both.probe != 0 || gated.hinge == 0.0F ? 0.0F : gated.weight / static_cast<float>(args.rows);
    args.d_logits[both.row_a] = -push;
    args.d_logits[both.row_b] = push;
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    if (item < base) {
      base_loss(lanes, item);
    } else {
      llm_pair(lanes, item - base);
    }
  }
};

}  // namespace

void loss_head_on(OnThisDevice, const Context& context, const LossHeadArgs& args) {
  const std::int64_t base = args.loss == BaseLoss::bpr ? args.rows / 2 : args.rows;
  require(args.loss != BaseLoss::bpr || args.rows % 2 == 0, "loss_head: bpr takes rows two by two");
  require(base + args.n_pairs <= args.gate.n_slots, "loss_head: too few accumulator slots");
  launch_each(context, "loss_head", base + args.n_pairs, LossHead{args, base});
}

}  // namespace sllmr
