#include "models/layers/cross_net/kernels.h"

#include "kernels/exec/column_sums.h"
#include "kernels/exec/launch.h"
#include "kernels/exec/matrix.h"

namespace sllmr {

namespace {

/// One item: a lane writes the columns that it owns of every beta_l.
template <class Real>
struct Betas {
  CrossVectors<Real> net;
  Matrix<Real> betas;
  int cols;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t) const {
    for (int c = lanes.lane(); c < cols; c += Lanes::size) betas.row(0)[c] = 0;
    for (int l = 0; l < net.layers; ++l) {
      const Real* beta = betas.row(l);
      Real* next = betas.row(l + 1);
      const Real* weight = net.weight[l];
      const Real product = sum_of<Real>(lanes, cols, [=](std::int64_t c) { return beta[c] * weight[c]; });
      if (lanes.lane() == 0) betas.row(l)[cols] = product;
      SLLMR_ROW_LOOP
      for (int c = lanes.lane(); c < cols; c += Lanes::size) next[c] = beta[c] + net.bias[l][c];
    }
  }
};

template <class Real>
struct CrossRows {
  CrossVectors<Real> net;
  Matrix<Real> x0, betas, products, out;
  int cols;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const Real* x = x0.row(row);
    Real* keep = products.row(row);
    Real alpha = 1;
    for (int l = 0; l < net.layers; ++l) {
      const Real* weight = net.weight[l];
      const Real p = sum_of<Real>(lanes, cols, [=](std::int64_t c) { return x[c] * weight[c]; });
      const Real a = alpha * p + betas.row(l)[cols];
      alpha += a;
      if (lanes.lane() == 0) {
        keep[l] = p;
        keep[net.layers + l] = a;
      }
    }
    const Real* beta = betas.row(net.layers);
    Real* to = out.row(row);
    SLLMR_ROW_LOOP
    for (int c = lanes.lane(); c < cols; c += Lanes::size) to[c] = alpha * x[c] + beta[c];
  }
};

/// Item: the product of beta_l with w_l, or, as the last one, that of beta_L with the output's weight.
template <class Real>
struct TapConstants {
  CrossVectors<Real> net;
  std::int64_t cols;
  const Real* out_weight;
  Real* constants;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t l) const {
    const Real* weight = l < net.layers ? net.weight[l] : out_weight;
    const Real product = sum_of<Real>(lanes, cols, [&](std::int64_t c) {
      Real beta = 0;
      for (int k = 0; k < l; ++k) beta += net.bias[k][c];
      return beta * weight[c];
    });
    if (lanes.lane() == 0) constants[l] = product;
  }
};

/// One lane a row.
template <class Real>
struct CrossOfTaps {
  int layers;
  const Real* user;
  const Real* constants;
  Matrix<Real> items, out;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t row) const {
    const Real* item = items.row(row);
    Real alpha = 1;
    for (int l = 0; l < layers; ++l) alpha += alpha * (user[l] + item[l]) + constants[l];
    *out.row(row) = alpha * (user[layers] + item[layers]) + constants[layers];
  }
};

template <class Real>
struct CrossRowsBackward {
  CrossVectors<Real> net;
  Matrix<Real> x0, products, d_out, d_x0, factors;
  int cols;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const Real* x = x0.row(row);
    const Real* g = d_out.row(row);
    const Real* p = products.row(row);
    const Real* a = p + net.layers;
    Real* factor = factors.row(row);
    Real* to = d_x0.row(row);
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
};

template <class Real>
struct CrossParametersBackward {
  CrossVectors<Real> net;
  Matrix<Real> betas, sums;
  const Real* d_products;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t c) const {
    Real d_bias = sums.row(net.layers)[c];
    for (int l = net.layers - 1; l >= 0; --l) {
      const Real da = d_products[l];
      const Real d_weight = sums.row(l)[c] + betas.row(l)[c] * da;
      net.d_bias[l][c] = d_bias;
      net.d_weight[l][c] = d_weight;
      d_bias += da * net.weight[l][c];
    }
  }
};

template <class Real>
struct CrossStep {
  Matrix<Real> x0, x, u, out;
  const Real* bias;
  std::int64_t cols;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const Real* first = x0.row(row);
    const Real* from = x.row(row);
    Real* product = u.row(row);
    Real* to = out.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
      product[c] += bias[c];
      to[c] = first[c] * product[c] + from[c];
    }
  }
};

template <class Real, bool Top, bool Bottom>
struct CrossStepBackward {
  Matrix<Real> x0, u, d_out, d_u, d_x0, d_x;

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
    return {x0.row(r), u.row(r), d_out.row(r), d_u.row(r), d_x0.row(r), d_x.row(r)};
  }
};

}  // namespace

template <class Real, class OnDevice>
void cross_vectors_on(OnDevice, const Context& context, const Tensor<Real>& x0, const CrossVectors<Real>& net,
                      const Tensor<Real>& betas, const Tensor<Real>& products, const Tensor<Real>& out) {
  const auto cols = static_cast<int>(x0.cols());
  launch(context, "cross_betas", 1, Betas<Real>{net, matrix(betas), cols});
  launch(context, "cross", x0.rows(),
         CrossRows<Real>{net, matrix(x0), matrix(betas), matrix(products), matrix(out), cols});
}

template <class Real, class OnDevice>
void cross_vectors_of_taps_on(OnDevice, const Context& context, const CrossVectors<Real>& net,
                              std::int64_t cols, const Real* out_weight, const Tensor<Real>& user,
                              const Tensor<Real>& items, const Tensor<Real>& constants,
                              const Tensor<Real>& out) {
  launch(context, "cross_tap_constants", net.layers + 1,
         TapConstants<Real>{net, cols, out_weight, constants.data()});
  launch_each(context, "cross_of_taps", items.rows(),
              CrossOfTaps<Real>{net.layers, user.data(), constants.data(), matrix(items), matrix(out)});
}

template <class Real, class OnDevice>
void cross_vectors_rows_backward_on(OnDevice, const Context& context, const Tensor<Real>& x0,
                                    const CrossVectors<Real>& net, const Tensor<Real>& products,
                                    const Tensor<Real>& d_out, const Tensor<Real>& d_x0,
                                    const Tensor<Real>& factors) {
  launch(context, "cross_backward", x0.rows(),
         CrossRowsBackward<Real>{net, matrix(x0), matrix(products), matrix(d_out), matrix(d_x0),
                                 matrix(factors), static_cast<int>(x0.cols())});
}

template <class Real, class OnDevice>
void cross_vectors_parameters_backward_on(OnDevice, const Context& context, const CrossVectors<Real>& net,
                                          const Tensor<Real>& betas, const Tensor<Real>& sums,
                                          const Tensor<Real>& d_products) {
  launch_each(context, "cross_parameters_backward", sums.cols(),
              CrossParametersBackward<Real>{net, matrix(betas), matrix(sums), d_products.data()});
}

template <class Real, class OnDevice>
void cross_step_on(OnDevice, const Context& context, const Tensor<Real>& x0, const Tensor<Real>& x,
                   const Real* bias, const Tensor<Real>& u, const Tensor<Real>& out) {
  launch(context, "cross_step", x.rows(),
         CrossStep<Real>{matrix(x0), matrix(x), matrix(u), matrix(out), bias, x.cols()});
}

template <class Real, class OnDevice>
void cross_step_backward_on(OnDevice, const Context& context, const Tensor<Real>& x0, const Tensor<Real>& u,
                            const Tensor<Real>& d_out, const Tensor<Real>& d_u, const Tensor<Real>& d_x0,
                            bool top, bool bottom, const Tensor<Real>& d_x, Real* d_bias) {
  const auto run = [&](auto is_top, auto is_bottom) {
    column_sums(context, "cross_step_backward", x0.rows(), x0.cols(),
                CrossStepBackward<Real, is_top.value, is_bottom.value>{
                    matrix(x0), matrix(u), matrix(d_out), matrix(d_u), matrix(d_x0), matrix(d_x)},
                ColumnTargets<Real, 1>{{d_bias}});
  };
  if (top && bottom) {
    run(std::true_type(), std::true_type());
  } else if (top) {
    run(std::true_type(), std::false_type());
  } else if (bottom) {
    run(std::false_type(), std::true_type());
  } else {
    run(std::false_type(), std::false_type());
  }
}

#define SLLMR_INSTANTIATE(Real)                                                                          \
  template void cross_vectors_on(OnThisDevice, const Context&, const Tensor<Real>&,                      \
                                 const CrossVectors<Real>&, const Tensor<Real>&, const Tensor<Real>&,    \
                                 const Tensor<Real>&);                                                   \
  template void cross_vectors_rows_backward_on(                                                          \
      OnThisDevice, const Context&, const Tensor<Real>&, const CrossVectors<Real>&, const Tensor<Real>&, \
      const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&);                                    \
  template void cross_vectors_parameters_backward_on(OnThisDevice, const Context&,                       \
                                                     const CrossVectors<Real>&, const Tensor<Real>&,     \
                                                     const Tensor<Real>&, const Tensor<Real>&);          \
  template void cross_vectors_of_taps_on(OnThisDevice, const Context&, const CrossVectors<Real>&,        \
                                         std::int64_t, const Real*, const Tensor<Real>&,                 \
                                         const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&); \
  template void cross_step_on(OnThisDevice, const Context&, const Tensor<Real>&, const Tensor<Real>&,    \
                              const Real*, const Tensor<Real>&, const Tensor<Real>&);                    \
  template void cross_step_backward_on(OnThisDevice, const Context&, const Tensor<Real>&,                \
                                       const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&,    \
                                       const Tensor<Real>&, bool, bool, const Tensor<Real>&, Real*);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
