#include "kernels/cosine_loss.h"

#include <cmath>

#include "kernels/exec/launch.h"
#include "kernels/gates/columns.h"

namespace sllmr {

namespace {

/// Item: one pair.
struct PulledPair {
  CosineLoss args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    constexpr float kLeast = 1e-8F;
    const AlikeRows& pair = args.pairs[k];
    const float *a = args.v.row(pair.a), *b = args.v.row(pair.b);
    const std::int64_t width = args.v.cols;
    const float aa = sum_of<float>(lanes, width, [=](std::int64_t d) { return a[d] * a[d]; });
    const float bb = sum_of<float>(lanes, width, [=](std::int64_t d) { return b[d] * b[d]; });
    const float ab = sum_of<float>(lanes, width, [=](std::int64_t d) { return a[d] * b[d]; });
    const float of_a = 1.0F / std::sqrt(aa + kLeast), of_b = 1.0F / std::sqrt(bb + kLeast);
    const float both = of_a * of_b, cosine = ab * both;
    // d cos / d a = b / (|a| |b|) - cos a / |a|^2.
    const float pull = -args.scale * pair.alpha;
    const float back_a = cosine * of_a * of_a, back_b = cosine * of_b * of_b;
    float *d_a = args.d_v.row(pair.a), *d_b = args.d_v.row(pair.b);
    SLLMR_ROW_LOOP
    for (std::int64_t d = lanes.lane(); d < width; d += Lanes::size) {
      d_a[d] = pull * (both * b[d] - back_a * a[d]);
      d_b[d] = pull * (both * a[d] - back_b * b[d]);
    }
    if (lanes.lane() != 0) return;
    float* slot = args.gate.slots + (args.first_slot + k) * GateColumns::stride;
    slot[GateColumns::pairs] += 1.0F;
    slot[GateColumns::pair_alpha] += pair.alpha;
    slot[GateColumns::pair_hinge] += pair.alpha * (1.0F - cosine);
    slot[GateColumns::pair_weight] += cosine;
  }
};

void run_here(const Context& context, const CosineLoss& args) {
  require(args.first_slot + args.n <= args.gate.n_slots, "cosine_loss: too few accumulator slots");
  launch(context, "cosine_loss", args.n, PulledPair{args});
}

}  // namespace

SLLMR_KERNEL(CosineLoss)

}  // namespace sllmr
