#include "kernels/dense/dropout_mask.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real>
struct DropRow {
  Drop<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
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
};

template <class Real>
struct DropBackwardRow {
  DropBackward<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const std::int64_t cols = args.d_out.cols;
    const Real scale = args.scale;
    Real* d = args.d_out.row(row);
    const std::uint8_t* flags = args.kept.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
      d[c] = flags[c] != 0 ? d[c] * scale : Real(0);
    }
  }
};

template <class Real>
void run_here(const Context& context, const Drop<Real>& args) {
  launch(context, "drop", args.x.rows, DropRow<Real>{args});
}

template <class Real>
void run_here(const Context& context, const DropBackward<Real>& args) {
  launch(context, "drop_backward", args.d_out.rows, DropBackwardRow<Real>{args});
}

}  // namespace

SLLMR_KERNELS(Drop)
SLLMR_KERNELS(DropBackward)

}  // namespace sllmr
