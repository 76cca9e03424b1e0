// DCN's cross network of vectors (Wang et al., 2017), x_{l+1} = x0 (x_l . w_l) + b_l + x_l, for x0 [rows x
// cols]. Every x_l is alpha_l x0 + beta_l with a number alpha_l for each row and beta_l = b_0 + ... +
// b_{l-1}, so a row needs nothing but the products p_l = x0 . w_l:
//   a_l = alpha_l p_l + beta_l . w_l,  alpha_0 = 1,  alpha_{l+1} = alpha_l + a_l.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// The parameters of the network and their gradients; passed to kernels by value.
template <class Real>
struct CrossVectors {
  static constexpr int kMaxLayers = 8;
  int layers = 0;
  const Real* weight[kMaxLayers] = {};  // [cols] each
  const Real* bias[kMaxLayers] = {};
  Real* d_weight[kMaxLayers] = {};
  Real* d_bias[kMaxLayers] = {};
};

/// out = x_L. For backward: `betas` [layers + 1 x cols + 1] gets beta_l and, in the last column, beta_l .
/// w_l; `products` [rows x 2 * layers] gets p_l, then a_l.
template <class Real>
struct CrossForward {
  CrossVectors<Real> net;
  Matrix<const Real> x0;
  Matrix<Real> betas, products, out;
};

/// d_x0, and for the parameters `factors` [rows x 2 * layers]: alpha_l da_l, then da_l, where da_l is the
/// gradient of a_l.
template <class Real>
struct CrossRowsBackward {
  CrossVectors<Real> net;
  Matrix<const Real> x0, products, d_out;
  Matrix<Real> d_x0, factors;
};

/// Gradients of the parameters from sums over the rows: `sums` [layers + 1 x cols] has those of alpha_l da_l
/// x0 in row l and those of d_out in the last one, d_products [layers] those of da_l.
template <class Real>
struct CrossParametersBackward {
  CrossVectors<Real> net;
  Matrix<const Real> betas, sums;
  const Real* d_products;
};

/// For ranking, where x_L is weighed by out_weight [cols]: constants [layers + 1] = beta_l . w_l, the last
/// one beta_L . out_weight,
template <class Real>
struct CrossTapConstants {
  CrossVectors<Real> net;
  std::int64_t cols;
  const Real* out_weight;
  Real* constants;
};

/// and with them out [rows x 1] = x_L . out_weight of the rows x0 whose products with w_0, .., w_{L-1} and
/// out_weight are user [layers + 1] + items [rows x layers + 1].
template <class Real>
struct CrossOfTaps {
  const Real* user;
  Matrix<const Real> items;
  const Real* constants;
  Matrix<Real> out;
};

}  // namespace sllmr
