#include "kernels/layers/linear.h"

#include "kernels/exec/launch.h"
#include "kernels/layers/column_sums.h"
#include "kernels/layers/matrix.h"

namespace sllmr {

namespace {

template <class Real>
struct SumRows {
  Matrix<Real> x;

  struct Row {
    const Real* x;
    SLLMR_INLINE void operator()(std::int64_t column, Real* sums) const { sums[0] = x[column]; }
  };
  SLLMR_INLINE Row row(std::int64_t r) const { return {x.row(r)}; }
};

template <class Real>
struct RowProducts {
  Matrix<Real> x, out;
  std::int64_t cols;
  const Real* weight;
  const Real* bias;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const Real* from = x.row(row);
    const Real* w = weight;
    const Real product = sum_of<Real>(lanes, cols, [=](std::int64_t c) { return from[c] * w[c]; });
    if (lanes.lane() == 0) *out.row(row) = product + *bias;
  }
};

template <class Real>
struct RowProductsBackward {
  Matrix<Real> x, d_out, d_x;
  const Real* weight;

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
  SLLMR_INLINE Row row(std::int64_t r) const { return {x.row(r), weight, d_x.row(r), *d_out.row(r)}; }
};

}  // namespace

template <class Real, class OnDevice>
void sum_rows_on(OnDevice, const Context& context, const Tensor<Real>& x, Real* out) {
  column_sums(context, "sum_rows", x.rows(), x.cols(), SumRows<Real>{matrix(x)},
              ColumnTargets<Real, 1>{{out}});
}

template <class Real, class OnDevice>
void row_products_on(OnDevice, const Context& context, const Tensor<Real>& x, const Real* weight,
                     const Real* bias, const Tensor<Real>& out) {
  launch(context, "row_products", x.rows(),
         RowProducts<Real>{matrix(x), matrix(out), x.cols(), weight, bias});
}

template <class Real, class OnDevice>
void row_products_backward_on(OnDevice, const Context& context, const Tensor<Real>& x, const Real* weight,
                              const Tensor<Real>& d_out, const Tensor<Real>& d_x, Real* d_weight) {
  column_sums(context, "row_products_backward", x.rows(), x.cols(),
              RowProductsBackward<Real>{matrix(x), matrix(d_out), matrix(d_x), weight},
              ColumnTargets<Real, 1>{{d_weight}});
}

#define SLLMR_INSTANTIATE(Real)                                                                              \
  template void sum_rows_on(OnThisDevice, const Context&, const Tensor<Real>&, Real*);                       \
  template void row_products_on(OnThisDevice, const Context&, const Tensor<Real>&, const Real*, const Real*, \
                                const Tensor<Real>&);                                                        \
  template void row_products_backward_on(OnThisDevice, const Context&, const Tensor<Real>&, const Real*,     \
                                         const Tensor<Real>&, const Tensor<Real>&, Real*);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
