#include "kernels/gate_step.h"

#include "kernels/exec/launch.h"
#include "kernels/optimizers.h"

namespace sllmr {

namespace {

/// One group of lanes a column that this gate adds to: its parameters' gradients, then the sums.
struct SumColumn {
  GateStep args;

  std::int64_t columns() const {
    return args.n_params + (args.holds_out ? GateColumns::used : GateColumns::reliability) -
           GateColumns::bucket;
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t column =
        item < args.n_params ? GateColumns::theta + item : GateColumns::bucket + item - args.n_params;
    float sum = 0;
    for (int s = lanes.lane(); s < args.n_slots; s += Lanes::size) {
      float& slot = args.slots[static_cast<std::int64_t>(s) * GateColumns::stride + column];
      sum += slot;
      slot = 0;
    }
    sum = lanes.sum(sum);
    if (lanes.lane() == 0) {
      args.scratch[column] = sum;
      args.totals[column] += static_cast<double>(sum);
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
  const SumColumn sum{args};
  launch(context, "gate_sum", sum.columns(), sum);
  launch_each(context, "gate_update", args.n_params + 1, UpdateGate{args});
}

}  // namespace

SLLMR_KERNEL(GateStep)

}  // namespace sllmr
