#include "kernels/dllm2rec_loss.h"

#include "kernels/exec/launch.h"
#include "kernels/logit_loss.h"

namespace sllmr {

namespace {

struct DistilledLoss {
  DistillationHead args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t k) const {
    const DistilledRow row = args.rows[k];
    const LossAndSlope x = log_sigmoid_loss(row.sign * args.logits[k] + row.offset);
    args.d_logits[k] = args.scale * row.weight * row.sign * x.slope;
    float* slot = args.gate.slots + (args.first_slot + k) * GateColumns::stride;
    slot[GateColumns::pair_hinge] += row.weight * x.loss;
  }
};

void run_here(const Context& context, const DistillationHead& args) {
  require(args.first_slot + args.n <= args.gate.n_slots, "dllm2rec_loss: too few accumulator slots");
  launch_each(context, "dllm2rec_loss", args.n, DistilledLoss{args});
}

}  // namespace

SLLMR_KERNEL(DistillationHead)

}  // namespace sllmr
