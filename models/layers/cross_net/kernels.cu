#include "models/layers/cross_net/kernels.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

/// One item: a lane writes the columns that it owns of every beta_l.
template <class Real>
struct Betas {
  CrossForward<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t) const {
    const CrossVectors<Real>& net = args.net;
    const Matrix<Real>& betas = args.betas;
    const auto cols = static_cast<int>(args.x0.cols);
    for (int c = lanes.lane(); c < cols; c += Lanes::size) betas.row(0)[c] = 0;
    for (int l = 0; l < net.layers; ++l) {
      const Real* beta = betas.row(l);
      Real* next = betas.row(l + 1);
      const Real* weight = net.weight[l];
      const Real* bias = net.bias[l];
      const Real product = sum_of<Real>(lanes, cols, [=](std::int64_t c) { return beta[c] * weight[c]; });
      if (lanes.lane() == 0) betas.row(l)[cols] = product;
      SLLMR_ROW_LOOP
      for (int c = lanes.lane(); c < cols; c += Lanes::size) next[c] = beta[c] + bias[c];
    }
  }
};

template <class Real>
struct ForwardRow {
  CrossForward<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const CrossVectors<Real>& net = args.net;
    const auto cols = static_cast<int>(args.x0.cols);
    const Real* x = args.x0.row(row);
    Real* keep = args.products.row(row);
    Real alpha = 1;
    for (int l = 0; l < net.layers; ++l) {
      const Real* weight = net.weight[l];
      const Real p = sum_of<Real>(lanes, cols, [=](std::int64_t c) { return x[c] * weight[c]; });
      const Real a = alpha * p + args.betas.row(l)[cols];
      alpha += a;
      if (lanes.lane() == 0) {
        keep[l] = p;
        keep[net.layers + l] = a;
      }
    }
    const Real* beta = args.betas.row(net.layers);
    Real* to = args.out.row(row);
    SLLMR_ROW_LOOP
    for (int c = lanes.lane(); c < cols; c += Lanes::size) to[c] = alpha * x[c] + beta[c];
  }
};

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CrossRowsBackward<Real>& args, std::int64_t row) {
  const CrossVectors<Real>& net = args.net;
  const auto cols = static_cast<int>(args.x0.cols);
  const Real* x = args.x0.row(row);
  const Real* g = args.d_out.row(row);
  const Real* p = args.products.row(row);
  const Real* a = p + net.layers;
  Real* factor = args.factors.row(row);
  Real* to = args.d_x0.row(row);
  Real alpha = 1;
  for (int l = 0; l < net.layers; ++l) alpha += a[l];
  SLLMR_ROW_LOOP
  for (int c = lanes.lane(); c < cols; c += Lanes::size) to[c] = alpha * g[c];
  // The gradient of x_{l+1} is g + sum over j > l of da_j w_j; da_l is its product with x0.
  Real da = sum_of<Real>(lanes, cols, [=](std::int64_t c) { return g[c] * x[c]; });
  for (int l = net.layers - 1; l >= 0; --l) {
    alpha -= a[l];
    const Real of_weight = da * alpha;
    const Real* weight = net.weight[l];
    SLLMR_ROW_LOOP
    for (int c = lanes.lane(); c < cols; c += Lanes::size) to[c] += of_weight * weight[c];
    if (lanes.lane() == 0) {
      factor[l] = of_weight;
      factor[net.layers + l] = da;
    }
    da += da * p[l];
  }
}

/// Item: one column.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes, const CrossParametersBackward<Real>& args, std::int64_t c) {
  const CrossVectors<Real>& net = args.net;
  Real d_bias = args.sums.row(net.layers)[c];
  for (int l = net.layers - 1; l >= 0; --l) {
    const Real da = args.d_products[l];
    const Real d_weight = args.sums.row(l)[c] + args.betas.row(l)[c] * da;
    net.d_bias[l][c] = d_bias;
    net.d_weight[l][c] = d_weight;
    d_bias += da * net.weight[l][c];
  }
}

/// Item: one of the constants.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CrossTapConstants<Real>& args, std::int64_t l) {
  const CrossVectors<Real>& net = args.net;
  const Real* weight = l < net.layers ? net.weight[l] : args.out_weight;
  const Real product = sum_of<Real>(lanes, args.cols, [&](std::int64_t c) {
    Real beta = 0;
    for (int k = 0; k < l; ++k) beta += net.bias[k][c];
    return beta * weight[c];
  });
  if (lanes.lane() == 0) args.constants[l] = product;
}

/// Item: one row.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes, const CrossOfTaps<Real>& args, std::int64_t row) {
  const auto layers = static_cast<int>(args.items.cols) - 1;
  const Real* user = args.user;
  const Real* constants = args.constants;
  const Real* item = args.items.row(row);
  Real alpha = 1;
  for (int l = 0; l < layers; ++l) alpha += alpha * (user[l] + item[l]) + constants[l];
  *args.out.row(row) = alpha * (user[layers] + item[layers]) + constants[layers];
}

template <class Real>
void run_here(const Context& context, const CrossForward<Real>& args) {
  launch(context, "cross_betas", 1, Betas<Real>{args});
  launch(context, "cross", args.x0.rows, ForwardRow<Real>{args});
}

}  // namespace

SLLMR_KERNELS(CrossForward)
SLLMR_ITEM_KERNELS(CrossRowsBackward, "cross_backward", args.x0.rows)
SLLMR_EACH_ITEM_KERNELS(CrossParametersBackward, "cross_parameters_backward", args.sums.cols)
SLLMR_ITEM_KERNELS(CrossTapConstants, "cross_tap_constants", args.net.layers + 1)
SLLMR_EACH_ITEM_KERNELS(CrossOfTaps, "cross_of_taps", args.items.rows)

}  // namespace sllmr
