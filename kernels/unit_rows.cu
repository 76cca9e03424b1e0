#include "kernels/unit_rows.h"

#include <cmath>

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

struct UnitRow {
  UnitRows args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    constexpr float kLeast = 1e-8F;
    const std::int64_t width = args.unit.cols;
    const float* x = args.x.row(args.rows == nullptr ? k : args.rows[k]);
    float* unit = args.unit.row(k);
    const float square = sum_of<float>(lanes, width, [=](std::int64_t d) { return x[d] * x[d]; });
    const float scale = 1.0F / std::sqrt(square + kLeast);
    SLLMR_ROW_LOOP
    for (std::int64_t d = lanes.lane(); d < width; d += Lanes::size) unit[d] = scale * x[d];
    if (lanes.lane() == 0) args.scale[k] = scale;
  }
};

struct UnitRowBackward {
  UnitRowsBackward args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t r) const {
    const std::int64_t width = args.d_x.cols, k = args.place == nullptr ? r : args.place[r];
    float* d_x = args.d_x.row(r);
    if (k >= args.unit.rows) {
      for (std::int64_t d = lanes.lane(); d < width; d += Lanes::size) d_x[d] = 0;
      return;
    }
    const float *unit = args.unit.row(k), *d_unit = args.d_unit.row(k), scale = args.scale[k];
    // y = s x, s = (|x|^2 + e)^-1/2: d_x = s (d_y - y <y, d_y>).
    const float along = sum_of<float>(lanes, width, [=](std::int64_t d) { return unit[d] * d_unit[d]; });
    SLLMR_ROW_LOOP
    for (std::int64_t d = lanes.lane(); d < width; d += Lanes::size) {
      d_x[d] = scale * (d_unit[d] - along * unit[d]);
    }
  }
};

void run_here(const Context& context, const UnitRows& args) {
  launch(context, "unit_rows", args.unit.rows, UnitRow{args});
}

void run_here(const Context& context, const UnitRowsBackward& args) {
  launch(context, "unit_rows_backward", args.d_x.rows, UnitRowBackward{args});
}

}  // namespace

SLLMR_KERNEL(UnitRows)
SLLMR_KERNEL(UnitRowsBackward)

}  // namespace sllmr
