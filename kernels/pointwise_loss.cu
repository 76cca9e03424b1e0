#include "kernels/pointwise_loss.h"

#include "kernels/exec/launch.h"
#include "kernels/gates/gate.h"
#include "kernels/gates/module/run.h"
#include "kernels/logit_loss.h"

namespace sllmr {

namespace {

SLLMR_HD LossAndSlope loss_of(PointwiseLoss loss, float s, float t) {
  if (loss == PointwiseLoss::bce) return binary_cross_entropy(s, t);
  if (loss == PointwiseLoss::mse) {
    const float small = std::exp(-std::fabs(s));
    const float p = (s < 0.0F ? small : 1.0F) / (1.0F + small);  // written so that a NaN logit stays NaN
    const float off = p - t;
    return {off * off, 2.0F * off * (small / ((1.0F + small) * (1.0F + small)))};
  }
  const float off = s - log_odds_of(t);
  return {off * off, 2.0F * off};
}

/// Item: one pair.
struct JudgedPair {
  PointwiseHead args;
  float scale;  // weight / number of judged rows

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t k) const {
    const HeadPair& both = args.pairs[k];
    float* slot = args.gate.slots + (args.first_slot + k) * GateColumns::stride;
    for (int side = 0; side < 2; ++side) {
      const std::int32_t row = side == 0 ? both.row_a : both.row_b;
      const float s = args.logits[row];
      const Id item = side == 0 ? both.pair.a : both.pair.b;
      GateSignals z = gate_signals(args.gate, both.user, item, both.pair.gap());
      z.uncertainty = uncertainty_of(args.uncertainties, row, s, args.gate.uncertainty);
      z.logit = logit_signal(s);
      const float alpha = gate_alpha(args.gate, both.user, item, z);
      const LossAndSlope x = loss_of(args.loss, s, args.targets[2 * k + side]);
      args.d_logits[row] = scale * alpha * x.slope;
      float* bucket = slot + GateColumns::bucket_of(z.cold != 0.0F, z.tail != 0.0F);
      bucket[0] += 1.0F;
      bucket[1] += alpha;
      bucket[2] += alpha * alpha;
      bucket[3] += alpha;
      slot[GateColumns::pair_alpha] += 0.5F * alpha;
      slot[GateColumns::pair_weight] += 0.5F * alpha;
      slot[GateColumns::pair_hinge] += 0.5F * alpha * x.loss;
    }
    slot[GateColumns::pairs] += 1.0F;
  }
};

void run_here(const Context& context, const PointwiseHead& args) {
  if (run_in_module(context, args, args.gate, &GateKernels::pointwise)) return;
  require(args.first_slot + args.n_pairs <= args.gate.n_slots, "pointwise_loss: too few accumulator slots");
  if (args.n_pairs == 0) return;
  const float scale = args.weight / static_cast<float>(2 * (args.n_pairs + args.left_out));
  launch_each(context, "pointwise_loss", args.n_pairs, JudgedPair{args, scale});
}

}  // namespace

SLLMR_KERNEL(PointwiseHead)

}  // namespace sllmr
