// The small dense work of DCNv2's mixture of low-rank experts: packing its parameters for matrix products,
// and what happens between the products, row by row.
#pragma once

#include <cstdint>

#include "kernels/exec/tensor.h"

namespace sllmr {

/// K experts of rank r on `cols` columns; `gate` belongs to all layers. Matrix products want one wide matrix
/// instead of K narrow ones; a layer's packed rows are, each [cols]: V_0^T .. V_{K-1}^T (K r rows), the gate
/// (K) and U_0^T .. U_{K-1}^T (K r).
template <class Real>
struct CrossExperts {
  static constexpr int kMaxLayers = 8;
  int layers = 0, experts = 0, rank = 0;
  std::int64_t cols = 0;
  const Real* u[kMaxLayers] = {};     // {K, cols, r}
  const Real* v[kMaxLayers] = {};     // {K, cols, r}
  const Real* c[kMaxLayers] = {};     // {K, r, r}
  const Real* bias[kMaxLayers] = {};  // {cols}
  const Real* gate_weight = nullptr;  // {K, cols}
  const Real* gate_bias = nullptr;    // {K}
  Real* d_u[kMaxLayers] = {};
  Real* d_v[kMaxLayers] = {};
  Real* d_c[kMaxLayers] = {};
  Real* d_gate_weight = nullptr;

  SLLMR_HD int width() const { return experts * rank; }
  /// Packed rows of one layer.
  SLLMR_HD int packed_rows() const { return 2 * width() + experts; }
  /// What layer `l` wants to know of its input: the rows of V and the gate; layer `layers` is the output.
  SLLMR_HD int readers(int l) const { return l < layers ? width() + experts : 1; }
  /// Where the taps of layer `l` begin, see expert_taps; those of `layers + 1` are none.
  SLLMR_HD int first_tap(int l) const {
    int first = 0;
    for (int k = 0; k < l; ++k) first += readers(k) * (1 + k * width());
    return first;
  }
  SLLMR_HD int taps() const { return first_tap(layers + 1); }
};

template <class Real, class OnDevice>
void pack_experts_on(OnDevice, const Context& context, const CrossExperts<Real>& net,
                     const Tensor<Real>& packed);
template <class Real, class OnDevice>
void unpack_experts_on(OnDevice, const Context& context, const CrossExperts<Real>& net,
                       const Tensor<Real>& d_packed, const Tensor<Real>& d_cores);
template <class Real, class OnDevice>
void mix_experts_on(OnDevice, const Context& context, const CrossExperts<Real>& net, int layer,
                    const Tensor<Real>& inner, const Tensor<Real>& core, const Tensor<Real>& mixed);
template <class Real, class OnDevice>
void mix_experts_backward_on(OnDevice, const Context& context, const CrossExperts<Real>& net, int layer,
                             const Tensor<Real>& inner, const Tensor<Real>& core, const Tensor<Real>& d_mixed,
                             const Tensor<Real>& d_inner);

template <class Real, class OnDevice>
void expert_taps_on(OnDevice, const Context& context, const CrossExperts<Real>& net,
                    const Tensor<Real>& packed, const Real* out_weight, const Tensor<Real>& weights);
template <class Real, class OnDevice>
void apply_taps_on(OnDevice, const Context& context, const CrossExperts<Real>& net, int layer,
                   const Tensor<Real>& user, const Tensor<Real>& items, const Tensor<Real>& mixed,
                   const Tensor<Real>& out);

/// packed [layers * packed_rows x cols].
template <class Real>
void pack_experts(const Context& context, const CrossExperts<Real>& net, const Tensor<Real>& packed) {
  on_device(context, [&](auto device) { pack_experts_on(device, context, net, packed); });
}

/// The gradients of u, v, c and the gate's weight from those of the packed rows and from d_cores [layers * K
/// r x K r], whose blocks on the diagonal are those of c.
template <class Real>
void unpack_experts(const Context& context, const CrossExperts<Real>& net, const Tensor<Real>& d_packed,
                    const Tensor<Real>& d_cores) {
  on_device(context, [&](auto device) { unpack_experts_on(device, context, net, d_packed, d_cores); });
}

/// inner [rows x K r + K] holds V_e^T x and the gate's products and becomes v = tanh of the former, G =
/// softmax of the latter and its bias; core [rows x K r] = tanh(C_e v_e); mixed [rows x K r] = G_e core_e.
template <class Real>
void mix_experts(const Context& context, const CrossExperts<Real>& net, int layer, const Tensor<Real>& inner,
                 const Tensor<Real>& core, const Tensor<Real>& mixed) {
  on_device(context, [&](auto device) { mix_experts_on(device, context, net, layer, inner, core, mixed); });
}

/// From the gradient of `mixed`: that of what `inner` held at first, and, in d_mixed's place, that of C_e
/// v_e.
template <class Real>
void mix_experts_backward(const Context& context, const CrossExperts<Real>& net, int layer,
                          const Tensor<Real>& inner, const Tensor<Real>& core, const Tensor<Real>& d_mixed,
                          const Tensor<Real>& d_inner) {
  on_device(context, [&](auto device) {
    mix_experts_backward_on(device, context, net, layer, inner, core, d_mixed, d_inner);
  });
}

/// The network reads x0 through a linear map alone. With h_k the mixed cores of layer k, x_l = x0 * (1 + sum
/// over k < l of (U_k h_k + b_k)), so that a reader R of layer l (a column of V, a gate, or out_weight for
/// the output) sees
///   R . x_l = (R * (1 + sum of b_k)) . x0 + sum over k < l and j < K r of h_kj (R * U_k's column j) . x0.
/// weights [taps x cols] gets, layer by layer, the factors of x0: of each reader, then for each k and j those
/// of each reader.
template <class Real>
void expert_taps(const Context& context, const CrossExperts<Real>& net, const Tensor<Real>& packed,
                 const Real* out_weight, const Tensor<Real>& weights) {
  on_device(context, [&](auto device) { expert_taps_on(device, context, net, packed, out_weight, weights); });
}

/// What the readers of `layer` see, out [rows x readers], of the rows whose products with the taps are user
/// [1 x taps] + items [rows x taps]; mixed [rows x layers * K r] holds h_k of the layers below.
template <class Real>
void apply_taps(const Context& context, const CrossExperts<Real>& net, int layer, const Tensor<Real>& user,
                const Tensor<Real>& items, const Tensor<Real>& mixed, const Tensor<Real>& out) {
  on_device(context,
            [&](auto device) { apply_taps_on(device, context, net, layer, user, items, mixed, out); });
}

}  // namespace sllmr
