#include "models/layers/cross_v2/kernels.h"

#include "kernels/exec/column_sums.h"
#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CrossStep<Real>& args, std::int64_t row) {
  const std::int64_t cols = args.x.cols;
  const Real* bias = args.bias;
  const Real* first = args.x0.row(row);
  const Real* from = args.x.row(row);
  Real* product = args.u.row(row);
  Real* to = args.out.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
    product[c] += bias[c];
    to[c] = first[c] * product[c] + from[c];
  }
}

template <class Real, bool Top, bool Bottom>
struct StepBackwardTerms {
  CrossStepBackward<Real> args;

  struct Row {
    const Real* x0;
    const Real* u;
    const Real* d_out;
    Real* d_u;
    Real* d_x0;
    Real* d_x;

    SLLMR_INLINE void operator()(std::int64_t c, Real* sums) const {
      const Real g = d_out[c];
      const Real of_x0 = Top ? g * u[c] : d_x0[c] + g * u[c];
      sums[0] = g * x0[c];
      d_u[c] = sums[0];
      d_x[c] = Bottom ? g + of_x0 : g;
      if constexpr (!Bottom) d_x0[c] = of_x0;
    }
  };
  SLLMR_INLINE Row row(std::int64_t r) const {
    return {args.x0.row(r),  args.u.row(r),    args.d_out.row(r),
            args.d_u.row(r), args.d_x0.row(r), args.d_x.row(r)};
  }
};

template <class Real>
void run_here(const Context& context, const CrossStepBackward<Real>& args) {
  with_constant(args.top, [&](auto top) {
    with_constant(args.bottom, [&](auto bottom) {
      column_sums(context, "cross_step_backward", args.x0.rows, args.x0.cols,
                  StepBackwardTerms<Real, top.value, bottom.value>{args},
                  ColumnTargets<Real, 1>{{args.d_bias}});
    });
  });
}

}  // namespace

SLLMR_ITEM_KERNELS(CrossStep, "cross_step", args.x.rows)
SLLMR_KERNELS(CrossStepBackward)

}  // namespace sllmr
