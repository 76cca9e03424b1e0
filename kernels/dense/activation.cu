#include "kernels/dense/activation.h"

#include "kernels/exec/column_sums.h"
#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real, bool Scale, bool Shift, bool Relu, bool Dropout>
struct EpilogueRow {
  Epilogue<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const std::int64_t cols = args.x.cols;
    const Real* from = args.x.row(row);
    Real* to = args.out.row(row);
    if constexpr (Dropout) {
      args.dropout.for_row(lanes, row, cols, [&](std::int64_t column, bool keep) {
        to[column] = keep ? value(from, column) * args.dropout.scale : Real(0);
      });
    } else {
      SLLMR_ROW_LOOP
      for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) to[c] = value(from, c);
    }
  }

  SLLMR_INLINE Real value(const Real* from, std::int64_t column) const {
    Real y = from[column];
    if constexpr (Scale) y *= args.scale[column];
    if constexpr (Shift) y += args.shift[column];
    if constexpr (Relu) y = y < 0 ? Real(0) : y;
    return y;
  }
};

template <class Real>
struct ReluTerms {
  ReluBackward<Real> args;

  struct Row {
    const Real* d_out;
    const Real* out;
    Real* d_x;
    Real scale;

    SLLMR_INLINE void operator()(std::int64_t column, Real* sums) const {
      const Real d = out[column] > 0 ? d_out[column] * scale : Real(0);
      d_x[column] = d;
      sums[0] = d;
    }
  };
  SLLMR_INLINE Row row(std::int64_t r) const {
    return {args.d_out.row(r), args.out.row(r), args.d_x.row(r), args.scale};
  }
};

template <class Real>
void run_here(const Context& context, const Epilogue<Real>& args) {
  with_constant(args.scale != nullptr, [&](auto scale) {
    with_constant(args.shift != nullptr, [&](auto shift) {
      with_constant(args.relu, [&](auto relu) {
        with_constant(args.dropout.active(), [&](auto dropout) {
          launch(context, "epilogue", args.x.rows,
                 EpilogueRow<Real, scale.value, shift.value, relu.value, dropout.value>{args});
        });
      });
    });
  });
}

template <class Real>
void run_here(const Context& context, const ReluBackward<Real>& args) {
  column_sums(context, "relu_backward", args.out.rows, args.out.cols, ReluTerms<Real>{args},
              ColumnTargets<Real, 1>{{args.d_bias}});
}

}  // namespace

SLLMR_KERNELS(Epilogue)
SLLMR_KERNELS(ReluBackward)

}  // namespace sllmr
