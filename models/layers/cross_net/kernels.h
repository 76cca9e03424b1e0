// Cross layers: DCN's whole network of vectors, and the elementwise part of DCNv2's layers.
#pragma once

#include <cstdint>

#include "kernels/exec/tensor.h"

namespace sllmr {

/// DCN's cross network (Wang et al., 2017), x_{l+1} = x0 (x_l . w_l) + b_l + x_l, for x0 [rows x cols]. Every
/// x_l is alpha_l x0 + beta_l with a number alpha_l for each row and beta_l = b_0 + ... + b_{l-1}, so a row
/// needs nothing but the products p_l = x0 . w_l:
///   a_l = alpha_l p_l + beta_l . w_l,  alpha_0 = 1,  alpha_{l+1} = alpha_l + a_l.
template <class Real>
struct CrossVectors {
  static constexpr int kMaxLayers = 8;
  int layers = 0;
  const Real* weight[kMaxLayers] = {};  // [cols] each
  const Real* bias[kMaxLayers] = {};
  Real* d_weight[kMaxLayers] = {};
  Real* d_bias[kMaxLayers] = {};
};

template <class Real, class OnDevice>
void cross_vectors_on(OnDevice, const Context& context, const Tensor<Real>& x0, const CrossVectors<Real>& net,
                      const Tensor<Real>& betas, const Tensor<Real>& products, const Tensor<Real>& out);
template <class Real, class OnDevice>
void cross_vectors_rows_backward_on(OnDevice, const Context& context, const Tensor<Real>& x0,
                                    const CrossVectors<Real>& net, const Tensor<Real>& products,
                                    const Tensor<Real>& d_out, const Tensor<Real>& d_x0,
                                    const Tensor<Real>& factors);
template <class Real, class OnDevice>
void cross_vectors_parameters_backward_on(OnDevice, const Context& context, const CrossVectors<Real>& net,
                                          const Tensor<Real>& betas, const Tensor<Real>& sums,
                                          const Tensor<Real>& d_products);
template <class Real, class OnDevice>
void cross_vectors_of_taps_on(OnDevice, const Context& context, const CrossVectors<Real>& net,
                              std::int64_t cols, const Real* out_weight, const Tensor<Real>& user,
                              const Tensor<Real>& items, const Tensor<Real>& constants,
                              const Tensor<Real>& out);
template <class Real, class OnDevice>
void cross_step_on(OnDevice, const Context& context, const Tensor<Real>& x0, const Tensor<Real>& x,
                   const Real* bias, const Tensor<Real>& u, const Tensor<Real>& out);
template <class Real, class OnDevice>
void cross_step_backward_on(OnDevice, const Context& context, const Tensor<Real>& x0, const Tensor<Real>& u,
                            const Tensor<Real>& d_out, const Tensor<Real>& d_u, const Tensor<Real>& d_x0,
                            bool top, bool bottom, const Tensor<Real>& d_x, Real* d_bias);

/// out = x_L. For the way back: `betas` [layers + 1 x cols + 1] gets beta_l and, in the last column, beta_l .
/// w_l; `products` [rows x 2 * layers] gets p_l, then a_l.
template <class Real>
void cross_vectors(const Context& context, const Tensor<Real>& x0, const CrossVectors<Real>& net,
                   const Tensor<Real>& betas, const Tensor<Real>& products, const Tensor<Real>& out) {
  on_device(context, [&](auto device) { cross_vectors_on(device, context, x0, net, betas, products, out); });
}

/// d_x0, and for the parameters `factors` [rows x 2 * layers]: alpha_l da_l, then da_l, where da_l is the
/// gradient of a_l.
template <class Real>
void cross_vectors_rows_backward(const Context& context, const Tensor<Real>& x0,
                                 const CrossVectors<Real>& net, const Tensor<Real>& products,
                                 const Tensor<Real>& d_out, const Tensor<Real>& d_x0,
                                 const Tensor<Real>& factors) {
  on_device(context, [&](auto device) {
    cross_vectors_rows_backward_on(device, context, x0, net, products, d_out, d_x0, factors);
  });
}

/// Gradients of the parameters from sums over the rows: `sums` [layers + 1 x cols] has those of alpha_l da_l
/// x0 in row l and those of d_out in the last one, d_products [1 x layers] those of da_l.
template <class Real>
void cross_vectors_parameters_backward(const Context& context, const CrossVectors<Real>& net,
                                       const Tensor<Real>& betas, const Tensor<Real>& sums,
                                       const Tensor<Real>& d_products) {
  on_device(context, [&](auto device) {
    cross_vectors_parameters_backward_on(device, context, net, betas, sums, d_products);
  });
}

/// out [rows x 1] = x_L . out_weight [cols] of the rows x0 whose products with w_0, .., w_{L-1} and
/// out_weight are user [1 x layers + 1] + items [rows x layers + 1]. `constants` [1 x layers + 1] is scratch.
template <class Real>
void cross_vectors_of_taps(const Context& context, const CrossVectors<Real>& net, std::int64_t cols,
                           const Real* out_weight, const Tensor<Real>& user, const Tensor<Real>& items,
                           const Tensor<Real>& constants, const Tensor<Real>& out) {
  on_device(context, [&](auto device) {
    cross_vectors_of_taps_on(device, context, net, cols, out_weight, user, items, constants, out);
  });
}

/// u += bias [cols]; out = x0 * u + x. All matrices [rows x cols].
template <class Real>
void cross_step(const Context& context, const Tensor<Real>& x0, const Tensor<Real>& x, const Real* bias,
                const Tensor<Real>& u, const Tensor<Real>& out) {
  on_device(context, [&](auto device) { cross_step_on(device, context, x0, x, bias, u, out); });
}

/// The way back through cross_step: d_u = d_out * x0, d_bias = its sum over the rows, d_x = d_out, d_x0 (+)=
/// d_out
/// * u. `top`: d_x0 is replaced, as this is the first step of the way back; `bottom`: x is x0, so that d_x
/// gets all of d_x0 as well, and d_x0 itself nothing.
template <class Real>
void cross_step_backward(const Context& context, const Tensor<Real>& x0, const Tensor<Real>& u,
                         const Tensor<Real>& d_out, const Tensor<Real>& d_u, const Tensor<Real>& d_x0,
                         bool top, bool bottom, const Tensor<Real>& d_x, Real* d_bias) {
  on_device(context, [&](auto device) {
    cross_step_backward_on(device, context, x0, u, d_out, d_u, d_x0, top, bottom, d_x, d_bias);
  });
}

}  // namespace sllmr
