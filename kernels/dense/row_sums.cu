#include "kernels/dense/row_sums.h"

#include "kernels/exec/column_sums.h"
#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real>
struct RowTerms {
  Matrix<const Real> x;

  struct Row {
    const Real* x;
    SLLMR_INLINE void operator()(std::int64_t column, Real* sums) const { sums[0] = x[column]; }
  };
  SLLMR_INLINE Row row(std::int64_t r) const { return {x.row(r)}; }
};

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const RowProducts<Real>& args, std::int64_t row) {
  const Real* from = args.x.row(row);
  const Real* w = args.weight;
  const Real product = sum_of<Real>(lanes, args.x.cols, [=](std::int64_t c) { return from[c] * w[c]; });
  if (lanes.lane() == 0) *args.out.row(row) = product + *args.bias;
}

template <class Real>
struct RowProductTerms {
  RowProductsBackward<Real> args;

  struct Row {
    const Real* x;
    const Real* weight;
    Real* d_x;
    Real d;

    SLLMR_INLINE void operator()(std::int64_t column, Real* sums) const {
      d_x[column] = d * weight[column];
      sums[0] = d * x[column];
    }
  };
  SLLMR_INLINE Row row(std::int64_t r) const {
    return {args.x.row(r), args.weight, args.d_x.row(r), *args.d_out.row(r)};
  }
};

template <class Real>
void run_here(const Context& context, const SumRows<Real>& args) {
  column_sums(context, "sum_rows", args.x.rows, args.x.cols, RowTerms<Real>{args.x},
              ColumnTargets<Real, 1>{{args.out}});
}

template <class Real>
void run_here(const Context& context, const RowProductsBackward<Real>& args) {
  column_sums(context, "row_products_backward", args.x.rows, args.x.cols, RowProductTerms<Real>{args},
              ColumnTargets<Real, 1>{{args.d_weight}});
}

}  // namespace

SLLMR_KERNELS(SumRows)
SLLMR_ITEM_KERNELS(RowProducts, "row_products", args.x.rows)
SLLMR_KERNELS(RowProductsBackward)

}  // namespace sllmr
