// The small dense work of DCNv2's mixture of low-rank experts: packing its parameters for matrix products,
// and what happens between the products, row by row.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

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
  /// Where the taps of layer `l` begin, see ExpertTaps; those of `layers + 1` are none.
  SLLMR_HD int first_tap(int l) const {
    int first = 0;
    for (int k = 0; k < l; ++k) first += readers(k) * (1 + k * width());
    return first;
  }
  SLLMR_HD int taps() const { return first_tap(layers + 1); }
};

/// packed [layers * packed_rows x cols] from u, v and the gate's weight.
template <class Real>
struct PackExperts {
  CrossExperts<Real> net;
  Matrix<Real> packed;
};

/// The gradients of u, v, c and the gate's weight from those of the packed rows [layers * packed_rows x cols]
/// and from d_cores [layers * K r x K r], whose blocks on the diagonal are those of c.
template <class Real>
struct UnpackExperts {
  CrossExperts<Real> net;
  Matrix<const Real> d_packed, d_cores;
};

/// inner [rows x K r + K] holds V_e^T x and the gate's products and becomes v = tanh of the former, G =
/// softmax of the latter and its bias; core [rows x K r] = tanh(C_e v_e); mixed [rows x K r] = G_e core_e.
template <class Real>
struct MixExperts {
  CrossExperts<Real> net;
  int layer;
  Matrix<Real> inner, core, mixed;
};

/// From d_mixed [rows x K r], which becomes the gradient of C_e v_e, to d_inner [rows x K r + K], that of
/// what `inner` held at first.
template <class Real>
struct MixExpertsBackward {
  CrossExperts<Real> net;
  int layer;
  Matrix<const Real> inner, core;
  Matrix<Real> d_mixed, d_inner;
};

/// The network reads x0 through a linear map alone. With h_k the mixed cores of layer k, x_l = x0 * (1 + sum
/// over k < l of (U_k h_k + b_k)), so that a reader R of layer l (a column of V, a gate, or out_weight for
/// the output) sees
///   R . x_l = (R * (1 + sum of b_k)) . x0 + sum over k < l and j < K r of h_kj (R * U_k's column j) . x0.
/// weights [taps x cols] = the factors of x0, layer by layer: of each reader, then for each k and j those of
/// each reader; packed [layers * packed_rows x cols].
template <class Real>
struct ExpertTaps {
  CrossExperts<Real> net;
  Matrix<const Real> packed;
  const Real* out_weight;  // [cols]
  Matrix<Real> weights;
};

/// What the readers of `layer` see, out [rows x readers], of the rows whose products with the taps are user +
/// items [rows x taps]; mixed [rows x layers * K r] holds h_k of the layers below.
template <class Real>
struct ApplyTaps {
  CrossExperts<Real> net;
  int layer;
  const Real* user;  // [taps]
  Matrix<const Real> items, mixed;
  Matrix<Real> out;
};

}  // namespace sllmr
