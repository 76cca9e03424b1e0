#include "kernels/dense/leaky_relu.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const LeakyRelu<Real>& args, std::int64_t row) {
  const std::int64_t cols = args.x.cols;
  const Real slope = args.slope;
  const Real* from = args.x.row(row);
  Real* to = args.out.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
    to[c] = from[c] < 0 ? slope * from[c] : from[c];
  }
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const LeakyReluBackward<Real>& args, std::int64_t row) {
  const std::int64_t cols = args.out.cols;
  const Real slope = args.slope;
  const Real* out = args.out.row(row);
  Real* d = args.d.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) d[c] = out[c] > 0 ? d[c] : slope * d[c];
}

}  // namespace

SLLMR_ITEM_KERNELS(LeakyRelu, "leaky_relu", args.x.rows)
SLLMR_ITEM_KERNELS(LeakyReluBackward, "leaky_relu_backward", args.out.rows)

}  // namespace sllmr
