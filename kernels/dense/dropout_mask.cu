#include "kernels/dense/dropout_mask.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const Drop<Real>& args, std::int64_t row) {
  const Real* from = args.x.row(row);
  Real* to = args.out.row(row);
  const Real scale = args.mask.scale;
  if (args.kept.data == nullptr) {
    args.mask.for_row(lanes, row, args.x.cols,
                      [&](std::int64_t c, bool keep) { to[c] = keep ? from[c] * scale : Real(0); });
    return;
  }
  std::uint8_t* flags = args.kept.row(row);
  args.mask.for_row(lanes, row, args.x.cols, [&](std::int64_t c, bool keep) {
    to[c] = keep ? from[c] * scale : Real(0);
    flags[c] = keep ? 1 : 0;
  });
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DropBackward<Real>& args, std::int64_t row) {
  const std::int64_t cols = args.d_out.cols;
  const Real scale = args.scale;
  Real* d = args.d_out.row(row);
  const std::uint8_t* flags = args.kept.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
    d[c] = flags[c] != 0 ? d[c] * scale : Real(0);
  }
}

}  // namespace

SLLMR_ITEM_KERNELS(Drop, "drop", args.x.rows)
SLLMR_ITEM_KERNELS(DropBackward, "drop_backward", args.d_out.rows)

}  // namespace sllmr
