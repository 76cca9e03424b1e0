// The attention unit of DIN (Zhou et al., KDD 2018) around its matrix products, for histories of any length:
// only real history items, "positions", are there.
//
// The unit maps [q; k; q - k; q * k] to a number, with W = [Wq Wk Wd Wp] (blocks of columns), then W1, w2:
//   a = w2 (W1 relu(W [q; k; q - k; q * k] + b) + b1) + b2.
// W [q; k; q - k; q * k] = (Wq + Wd) q + (Wk - Wd) k + Wp (q * k): q's part is the same for all positions of
// a row. There is no activation between W1 and w2, so a = v . relu(...) + c, v = W1^T w2 and c = w2 . b1 +
// b2.
#pragma once

#include "kernels/exec/tensor.h"

namespace sllmr {

/// Which positions are whose.
struct DinHistory {
  const std::int64_t* first_position = nullptr;   // [rows + 1]
  const std::int32_t* row_of_position = nullptr;  // [positions]
};

/// Parameters of the unit, or their gradients.
template <class Real>
struct DinParameters {
  Real* weight = nullptr;   // [units x 4 * width], W
  Real* bias = nullptr;     // [units]
  Real* weight1 = nullptr;  // [units1 x units]
  Real* bias1 = nullptr;    // [units1]
  Real* weight2 = nullptr;  // [units1]
  Real* bias2 = nullptr;    // [1]
  int width = 0, units = 0, units1 = 0;
};

template <class Real, class OnDevice>
void din_fold_on(OnDevice, const Context& context, const DinParameters<Real>& parameters,
                 const Tensor<Real>& folded, const Tensor<Real>& tail);
template <class Real, class OnDevice>
void din_products_on(OnDevice, const Context& context, const DinHistory& history, const Tensor<Real>& query,
                     const Tensor<Real>& keys, const Tensor<Real>& products);
template <class Real, class OnDevice>
void din_pool_on(OnDevice, const Context& context, const DinHistory& history, const Tensor<Real>& of_query,
                 const Real* bias, const Tensor<Real>& tail, const Tensor<Real>& keys,
                 const Tensor<Real>& hidden, const Tensor<Real>& weights, const Tensor<Real>& out);
template <class Real, class OnDevice>
void din_scale_keys_on(OnDevice, const Context& context, const DinParameters<Real>& parameters,
                       const Tensor<Real>& keys, const Tensor<Real>& scaled);
template <class Real, class OnDevice>
void din_rank_weights_on(OnDevice, const Context& context, const Tensor<Real>& products,
                         const Tensor<Real>& of_query, const Tensor<Real>& of_keys, const Tensor<Real>& tail,
                         const Tensor<Real>& weights);
template <class Real, class OnDevice>
void din_pool_backward_on(OnDevice, const Context& context, const DinHistory& history,
                          const Tensor<Real>& tail, const Tensor<Real>& keys, const Tensor<Real>& hidden,
                          const Tensor<Real>& d_out, const Tensor<Real>& d_weights,
                          const Tensor<Real>& d_hidden, const Tensor<Real>& d_of_query);
template <class Real, class OnDevice>
void din_keys_backward_on(OnDevice, const Context& context, const DinHistory& history,
                          const Tensor<Real>& query, const Tensor<Real>& keys, const Tensor<Real>& weights,
                          const Tensor<Real>& d_out, const Tensor<Real>& d_products,
                          const Tensor<Real>& d_query, const Tensor<Real>& d_keys);
template <class Real, class OnDevice>
void din_unfold_gradients_on(OnDevice, const Context& context, const DinParameters<Real>& parameters,
                             const Tensor<Real>& d_folded, const Tensor<Real>& d_of_query,
                             const Tensor<Real>& d_weights, const Tensor<Real>& d_tail,
                             const DinParameters<Real>& gradients);

/// folded [units x 2 * width] = [Wq + Wd, Wk - Wd]; tail [1 x units + 1] = [v, c].
template <class Real>
void din_fold(const Context& context, const DinParameters<Real>& parameters, const Tensor<Real>& folded,
              const Tensor<Real>& tail) {
  on_device(context, [&](auto device) { din_fold_on(device, context, parameters, folded, tail); });
}

/// products [positions x width] = the row's query * keys.
template <class Real>
void din_products(const Context& context, const DinHistory& history, const Tensor<Real>& query,
                  const Tensor<Real>& keys, const Tensor<Real>& products) {
  on_device(context, [&](auto device) { din_products_on(device, context, history, query, keys, products); });
}

/// hidden [positions x units], the part of keys and products, becomes relu(hidden + the row's of_query +
/// bias); weights [positions x 1] = v . hidden + c; out [rows x width] = sum of weights * keys.
template <class Real>
void din_pool(const Context& context, const DinHistory& history, const Tensor<Real>& of_query,
              const Real* bias, const Tensor<Real>& tail, const Tensor<Real>& keys,
              const Tensor<Real>& hidden, const Tensor<Real>& weights, const Tensor<Real>& out) {
  on_device(context, [&](auto device) {
    din_pool_on(device, context, history, of_query, bias, tail, keys, hidden, weights, out);
  });
}

/// For ranking, one user's history against many items: scaled [positions * units x width] gets Wp * k of
/// every position, so that its products with a query are Wp (q * k),
template <class Real>
void din_scale_keys(const Context& context, const DinParameters<Real>& parameters, const Tensor<Real>& keys,
                    const Tensor<Real>& scaled) {
  on_device(context, [&](auto device) { din_scale_keys_on(device, context, parameters, keys, scaled); });
}

/// and weights [rows x positions] = v . relu(products + of_query + of_keys) + c, with these products
/// [rows x positions * units], of_query [rows x units] and of_keys [positions x units], one of them with the
/// bias.
template <class Real>
void din_rank_weights(const Context& context, const Tensor<Real>& products, const Tensor<Real>& of_query,
                      const Tensor<Real>& of_keys, const Tensor<Real>& tail, const Tensor<Real>& weights) {
  on_device(context, [&](auto device) {
    din_rank_weights_on(device, context, products, of_query, of_keys, tail, weights);
  });
}

/// From d_out to d_weights [positions x 1], d_hidden (of what the ReLU got) and its sums over each row's
/// positions, d_of_query [rows x units].
template <class Real>
void din_pool_backward(const Context& context, const DinHistory& history, const Tensor<Real>& tail,
                       const Tensor<Real>& keys, const Tensor<Real>& hidden, const Tensor<Real>& d_out,
                       const Tensor<Real>& d_weights, const Tensor<Real>& d_hidden,
                       const Tensor<Real>& d_of_query) {
  on_device(context, [&](auto device) {
    din_pool_backward_on(device, context, history, tail, keys, hidden, d_out, d_weights, d_hidden,
                         d_of_query);
  });
}

/// Adds to d_keys and d_query what comes through the products and the weighted sum.
template <class Real>
void din_keys_backward(const Context& context, const DinHistory& history, const Tensor<Real>& query,
                       const Tensor<Real>& keys, const Tensor<Real>& weights, const Tensor<Real>& d_out,
                       const Tensor<Real>& d_products, const Tensor<Real>& d_query,
                       const Tensor<Real>& d_keys) {
  on_device(context, [&](auto device) {
    din_keys_backward_on(device, context, history, query, keys, weights, d_out, d_products, d_query, d_keys);
  });
}

/// Gradients of all parameters but Wp from those of the folded ones; d_tail [1 x units] is that of v. Those
/// of c and of the bias are the sums of d_weights and of d_of_query.
template <class Real>
void din_unfold_gradients(const Context& context, const DinParameters<Real>& parameters,
                          const Tensor<Real>& d_folded, const Tensor<Real>& d_of_query,
                          const Tensor<Real>& d_weights, const Tensor<Real>& d_tail,
                          const DinParameters<Real>& gradients) {
  on_device(context, [&](auto device) {
    din_unfold_gradients_on(device, context, parameters, d_folded, d_of_query, d_weights, d_tail, gradients);
  });
}

}  // namespace sllmr
