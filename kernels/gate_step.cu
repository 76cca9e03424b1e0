#include "kernels/gate_step.h"

#include "kernels/exec/launch.h"
#include "kernels/optimizers.h"

namespace sllmr {

namespace {

/// The columns that this gate adds to: its parameters' gradients, then the sums. A group of lanes takes one;
/// on the CPU a cache line of them.
struct SumColumns {
  static constexpr int kBlock = OnThisDevice::value == Device::cuda ? 1 : 16;
  GateStep args;

  SLLMR_HD int sums() const {
    return (args.holds_out ? GateColumns::used : GateColumns::reliability) - GateColumns::bucket;
  }
  SLLMR_HD static int blocks_of(int columns) { return (columns + kBlock - 1) / kBlock; }
  int blocks() const { return blocks_of(args.n_params) + blocks_of(sums()); }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const int of_params = blocks_of(args.n_params), block = static_cast<int>(item);
    const bool params = block < of_params;
    const int before = (params ? block : block - of_params) * kBlock;
    const int left = (params ? args.n_params : sums()) - before, count = left < kBlock ? left : kBlock;
    const int first = (params ? GateColumns::theta : GateColumns::bucket) + before;
    float sum[kBlock] = {};
    for (int s = lanes.lane(); s < args.n_slots; s += Lanes::size) {
      float* slot = args.slots + static_cast<std::int64_t>(s) * GateColumns::stride + first;
      for (int k = 0; k < count; ++k) {
        sum[k] += slot[k];
        slot[k] = 0;
      }
    }
    for (int k = 0; k < count; ++k) {
      const float all = lanes.sum(sum[k]);
      if (lanes.lane() != 0) continue;
      args.scratch[first + k] = all;
      args.totals[first + k] += static_cast<double>(all);
    }
  }
};

/// Item k < n_params updates a parameter, the last item the running means.
struct UpdateGate {
  GateStep args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t k) const {
    if (k < args.n_params) {
      const float rows = args.scratch[GateColumns::rows];
      const float gradient = args.scratch[GateColumns::theta + k] / (rows > 0 ? rows : 1.0F);
      const AdamUpdate update(args.learning_rate, args.step);
      const TableView view{args.theta, args.first, args.second, nullptr};
      update.step(view, k, args.theta[k], gradient);
    } else {
      // The first chunk sets the means; later ones move them slower and slower, to a tenth.
      const float first = 1.0F - 1.0F / static_cast<float>(args.step);
      const float keep = first < 0.9F ? first : 0.9F;
      const float pairs = args.scratch[GateColumns::pairs];
      if (pairs == 0) return;
      args.running[0] += (1.0F - keep) * (args.scratch[GateColumns::pair_alpha] / pairs - args.running[0]);
      args.running[1] += (1.0F - keep) * (args.scratch[GateColumns::pair_hinge] / pairs - args.running[1]);
    }
  }
};

void run_here(const Context& context, const GateStep& args) {
  const SumColumns sum{args};
  launch(context, "gate_sum", sum.blocks(), sum);
  launch_each(context, "gate_update", args.n_params + 1, UpdateGate{args});
}

}  // namespace

SLLMR_KERNEL(GateStep)

}  // namespace sllmr
