#include "kernels/info_nce.h"

#include <cmath>

#include "kernels/exec/launch.h"
#include "kernels/exec/math.h"
#include "kernels/gates/columns.h"

namespace sllmr {

namespace {

/// Item: one anchor.
struct ContrastedAnchor {
  InfoNce args;
  float inverse;  // 1 / temperature

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t r) const {
    const std::int64_t candidates = args.cosines.cols;
    const std::int64_t own = args.own == nullptr ? args.first_own + r : args.own[r];
    float* c = args.cosines.row(r);
    const float cosine = c[own], by = inverse;
    lanes.sync();  // every lane has read its cosine
    // A cosine is at most 1: relative to that nothing overflows.
    SLLMR_ROW_LOOP
    for (std::int64_t k = lanes.lane(); k < candidates; k += Lanes::size) c[k] = exp_of((c[k] - 1.0F) * by);
    const float sum = sum_of<float>(lanes, candidates, [=](std::int64_t k) { return c[k]; });
    const float pull = args.scale * by, share = pull / sum;
    SLLMR_ROW_LOOP
    for (std::int64_t k = lanes.lane(); k < candidates; k += Lanes::size) c[k] *= share;
    lanes.sync();
    if (lanes.lane() != 0) return;
    c[own] -= pull;
    float* slot = args.gate.slots + (args.first_slot + r) * GateColumns::stride;
    slot[args.loss_column] += std::log(sum) + (1.0F - cosine) * by;
    slot[args.cosine_column] += cosine;
  }
};

void run_here(const Context& context, const InfoNce& args) {
  require(args.first_slot + args.cosines.rows <= args.gate.n_slots, "info_nce: too few accumulator slots");
  launch(context, "info_nce", args.cosines.rows, ContrastedAnchor{args, 1.0F / args.temperature});
}

}  // namespace

SLLMR_KERNEL(InfoNce)

}  // namespace sllmr
