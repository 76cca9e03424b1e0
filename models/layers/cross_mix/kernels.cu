#include "models/layers/cross_mix/kernels.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/math.h"
#include "kernels/exec/matrix.h"

namespace sllmr {

namespace {

/// Item: one packed row of one layer.
template <class Real>
struct PackExperts {
  CrossExperts<Real> net;
  Matrix<Real> packed;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const auto layer = static_cast<int>(item / net.packed_rows());
    const auto k = static_cast<int>(item % net.packed_rows());
    const Real* from = nullptr;
    int step = net.rank;
    if (k < net.width()) {
      from = at(net.v[layer], k);
    } else if (k < net.width() + net.experts) {
      from = net.gate_weight + (k - net.width()) * net.cols;
      step = 1;
    } else {
      from = at(net.u[layer], k - net.width() - net.experts);
    }
    Real* to = packed.row(item);
    for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) to[c] = from[c * step];
  }

 private:
  /// Column k % r of expert k / r.
  SLLMR_HD const Real* at(const Real* matrices, int k) const {
    return matrices + k / net.rank * net.cols * net.rank + k % net.rank;
  }
};

/// Items: the packed rows of one layer's v and u, for each layer; then the gate's rows; then the c of each
/// layer.
template <class Real>
struct UnpackExperts {
  CrossExperts<Real> net;
  Matrix<Real> d_packed, d_cores;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t factors = 2 * static_cast<std::int64_t>(net.layers) * net.width();
    if (item < factors) {
      const auto layer = static_cast<int>(item / (2 * net.width()));
      const auto k = static_cast<int>(item % (2 * net.width()));
      const bool is_v = k < net.width();
      const int j = is_v ? k : k - net.width();
      const Real* from = row(layer, is_v ? k : k + net.experts);
      Real* to = (is_v ? net.d_v : net.d_u)[layer] + j / net.rank * net.cols * net.rank + j % net.rank;
      for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) to[c * net.rank] = from[c];
    } else if (item < factors + net.experts) {
      const auto e = static_cast<int>(item - factors);
      Real* to = net.d_gate_weight + e * net.cols;
      for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) {
        Real sum = 0;
        for (int layer = 0; layer < net.layers; ++layer) sum += row(layer, net.width() + e)[c];
        to[c] = sum;
      }
    } else {
      const auto layer = static_cast<int>(item - factors - net.experts);
      const int block = net.rank * net.rank;
      for (int k = lanes.lane(); k < net.experts * block; k += Lanes::size) {
        const int first = k / block * net.rank;
        const std::int64_t from =
            static_cast<std::int64_t>(layer) * net.width() + first + k % block / net.rank;
        net.d_c[layer][k] = d_cores.row(from)[first + k % net.rank];
      }
    }
  }

 private:
  SLLMR_HD const Real* row(int layer, int k) const {
    return d_packed.row(static_cast<std::int64_t>(layer) * net.packed_rows() + k);
  }
};

/// One lane a row.
template <class Real>
struct MixExperts {
  CrossExperts<Real> net;
  int layer;
  Matrix<Real> inner, core, mixed;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t row) const {
    const int width = net.width(), rank = net.rank;
    Real* v = inner.row(row);
    Real* gate = v + width;
    Real* of_core = core.row(row);
    Real* to = mixed.row(row);
    SLLMR_ROW_LOOP
    for (int k = 0; k < width; ++k) v[k] = tanh_of(v[k]);
    for (int k = 0; k < width; ++k) {
      const Real* c = net.c[layer] + static_cast<std::int64_t>(k) * rank;
      const Real* of_expert = v + k / rank * rank;
      Real sum = 0;
      for (int j = 0; j < rank; ++j) sum += c[j] * of_expert[j];
      of_core[k] = sum;
    }
    SLLMR_ROW_LOOP
    for (int k = 0; k < width; ++k) of_core[k] = tanh_of(of_core[k]);
    softmax(gate);
    for (int k = 0; k < width; ++k) to[k] = gate[k / rank] * of_core[k];
  }

 private:
  SLLMR_HD void softmax(Real* gate) const {
    Real most = gate[0] + net.gate_bias[0];
    for (int e = 0; e < net.experts; ++e) {
      gate[e] += net.gate_bias[e];
      most = gate[e] > most ? gate[e] : most;
    }
    Real total = 0;
    for (int e = 0; e < net.experts; ++e) total += gate[e] = std::exp(gate[e] - most);
    for (int e = 0; e < net.experts; ++e) gate[e] /= total;
  }
};

/// Item: one tap.
template <class Real>
struct ExpertTaps {
  CrossExperts<Real> net;
  Matrix<Real> packed, weights;
  const Real* out_weight;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    int layer = 0;
    while (item >= net.first_tap(layer + 1)) ++layer;
    const int readers = net.readers(layer);
    const auto of_layer = static_cast<int>(item) - net.first_tap(layer);
    const int reader = of_layer % readers, factor = of_layer / readers - 1;  // -1: no column of U
    const Real* r = layer < net.layers
                        ? packed.row(static_cast<std::int64_t>(layer) * net.packed_rows() + reader)
                        : out_weight;
    Real* to = weights.row(item);
    if (factor >= 0) {
      const int below = factor / net.width(), column = factor % net.width();
      const Real* u = packed.row(static_cast<std::int64_t>(below) * net.packed_rows() + net.width() +
                                 net.experts + column);
      for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) to[c] = r[c] * u[c];
      return;
    }
    for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) {
      Real sum = 1;
      for (int k = 0; k < layer; ++k) sum += net.bias[k][c];
      to[c] = r[c] * sum;
    }
  }
};

/// Item: one row.
template <class Real>
struct ApplyTaps {
  int readers, below;  // below: how many h of the layers below there are
  const Real* user;
  Matrix<Real> items, mixed, out;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const Real* item = items.row(row);
    const Real* h = mixed.row(row);
    Real* to = out.row(row);
    if (readers == 1) {
      const Real sum =
          sum_of<Real>(lanes, below, [&](std::int64_t j) { return h[j] * (user[j + 1] + item[j + 1]); });
      if (lanes.lane() == 0) *to = user[0] + item[0] + sum;
      return;
    }
    int reader = lanes.lane();
    if constexpr (Lanes::size == 1) {
      constexpr int kBlock = 16;
      for (; reader + kBlock <= readers; reader += kBlock) block<kBlock>(item, h, reader, to);
      for (; reader + 4 <= readers; reader += 4) block<4>(item, h, reader, to);
    }
    for (; reader < readers; reader += Lanes::size) block<1>(item, h, reader, to);
  }

 private:
  /// `Readers` neighbours, whose sums stay in registers.
  template <int Readers>
  SLLMR_INLINE void block(const Real* item, const Real* h, int first, Real* to) const {
    Real sum[Readers];
    const Real* u = user + first;
    const Real* i = item + first;
    SLLMR_ROW_LOOP
    for (int r = 0; r < Readers; ++r) sum[r] = u[r] + i[r];
    for (int j = 0; j < below; ++j) {
      u += readers;
      i += readers;
      const Real factor = h[j];
      SLLMR_ROW_LOOP
      for (int r = 0; r < Readers; ++r) sum[r] += factor * (u[r] + i[r]);
    }
    SLLMR_ROW_LOOP
    for (int r = 0; r < Readers; ++r) to[first + r] = sum[r];
  }
};

/// One lane a row.
template <class Real>
struct MixExpertsBackward {
  CrossExperts<Real> net;
  int layer;
  Matrix<Real> inner, core, d_mixed, d_inner;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t row) const {
    const int width = net.width(), rank = net.rank;
    const Real* v = inner.row(row);
    const Real* gate = v + width;
    const Real* of_core = core.row(row);
    Real* d = d_mixed.row(row);
    Real* to = d_inner.row(row);
    Real mean = 0;
    for (int e = 0; e < net.experts; ++e) {
      Real d_gate = 0;
      for (int k = e * rank; k < (e + 1) * rank; ++k) d_gate += d[k] * of_core[k];
      to[width + e] = d_gate;
      mean += gate[e] * d_gate;
    }
    for (int e = 0; e < net.experts; ++e) to[width + e] = gate[e] * (to[width + e] - mean);
    for (int k = 0; k < width; ++k) d[k] *= gate[k / rank] * (1 - of_core[k] * of_core[k]);
    for (int k = 0; k < width; ++k) {
      const int first = k / rank * rank;
      const Real* c = net.c[layer] + static_cast<std::int64_t>(first) * rank + k % rank;
      Real sum = 0;
      for (int i = 0; i < rank; ++i) sum += c[i * rank] * d[first + i];
      to[k] = sum * (1 - v[k] * v[k]);
    }
  }
};

}  // namespace

template <class Real, class OnDevice>
void pack_experts_on(OnDevice, const Context& context, const CrossExperts<Real>& net,
                     const Tensor<Real>& packed) {
  launch(context, "pack_experts", packed.rows(), PackExperts<Real>{net, matrix(packed)});
}

template <class Real, class OnDevice>
void unpack_experts_on(OnDevice, const Context& context, const CrossExperts<Real>& net,
                       const Tensor<Real>& d_packed, const Tensor<Real>& d_cores) {
  launch(context, "unpack_experts", 2 * net.layers * net.width() + net.experts + net.layers,
         UnpackExperts<Real>{net, matrix(d_packed), matrix(d_cores)});
}

template <class Real, class OnDevice>
void mix_experts_on(OnDevice, const Context& context, const CrossExperts<Real>& net, int layer,
                    const Tensor<Real>& inner, const Tensor<Real>& core, const Tensor<Real>& mixed) {
  launch_each(context, "mix_experts", inner.rows(),
              MixExperts<Real>{net, layer, matrix(inner), matrix(core), matrix(mixed)});
}

template <class Real, class OnDevice>
void mix_experts_backward_on(OnDevice, const Context& context, const CrossExperts<Real>& net, int layer,
                             const Tensor<Real>& inner, const Tensor<Real>& core, const Tensor<Real>& d_mixed,
                             const Tensor<Real>& d_inner) {
  launch_each(
      context, "mix_experts_backward", inner.rows(),
      MixExpertsBackward<Real>{net, layer, matrix(inner), matrix(core), matrix(d_mixed), matrix(d_inner)});
}

template <class Real, class OnDevice>
void expert_taps_on(OnDevice, const Context& context, const CrossExperts<Real>& net,
                    const Tensor<Real>& packed, const Real* out_weight, const Tensor<Real>& weights) {
  launch(context, "expert_taps", weights.rows(),
         ExpertTaps<Real>{net, matrix(packed), matrix(weights), out_weight});
}

template <class Real, class OnDevice>
void apply_taps_on(OnDevice, const Context& context, const CrossExperts<Real>& net, int layer,
                   const Tensor<Real>& user, const Tensor<Real>& items, const Tensor<Real>& mixed,
                   const Tensor<Real>& out) {
  const int first = net.first_tap(layer);
  Matrix<Real> of_items = matrix(items);
  of_items.data += first;
  launch(context, "apply_taps", out.rows(),
         ApplyTaps<Real>{net.readers(layer), layer * net.width(), user.data() + first, of_items,
                         matrix(mixed), matrix(out)});
}

#define SLLMR_INSTANTIATE(Real)                                                                              \
  template void pack_experts_on(OnThisDevice, const Context&, const CrossExperts<Real>&,                     \
                                const Tensor<Real>&);                                                        \
  template void unpack_experts_on(OnThisDevice, const Context&, const CrossExperts<Real>&,                   \
                                  const Tensor<Real>&, const Tensor<Real>&);                                 \
  template void mix_experts_on(OnThisDevice, const Context&, const CrossExperts<Real>&, int,                 \
                               const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&);               \
  template void mix_experts_backward_on(OnThisDevice, const Context&, const CrossExperts<Real>&, int,        \
                                        const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&,       \
                                        const Tensor<Real>&);                                                \
  template void expert_taps_on(OnThisDevice, const Context&, const CrossExperts<Real>&, const Tensor<Real>&, \
                               const Real*, const Tensor<Real>&);                                            \
  template void apply_taps_on(OnThisDevice, const Context&, const CrossExperts<Real>&, int,                  \
                              const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&,                 \
                              const Tensor<Real>&);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
