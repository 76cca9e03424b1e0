#include "models/layers/cross_mix/kernels.h"

#include "kernels/dense/softmax.h"
#include "kernels/exec/launch.h"
#include "kernels/exec/math.h"

namespace sllmr {

namespace {

/// Column k % r of expert k / r, where each is a matrix [cols x r].
template <class Real, class Factor>
SLLMR_INLINE Factor* factor_column(const CrossExperts<Real>& net, Factor* matrices, int k) {
  return matrices + k / net.rank * net.cols * net.rank + k % net.rank;
}

/// Item: one packed row of one layer.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const PackExperts<Real>& args, std::int64_t item) {
  const CrossExperts<Real>& net = args.net;
  const auto layer = static_cast<int>(item / net.packed_rows());
  const auto k = static_cast<int>(item % net.packed_rows());
  const Real* from = nullptr;
  int step = net.rank;
  if (k < net.width()) {
    from = factor_column(net, net.v[layer], k);
  } else if (k < net.width() + net.experts) {
    from = net.gate_weight + (k - net.width()) * net.cols;
    step = 1;
  } else {
    from = factor_column(net, net.u[layer], k - net.width() - net.experts);
  }
  Real* to = args.packed.row(item);
  for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) to[c] = from[c * step];
}

/// Packed row k of a layer.
template <class Real>
SLLMR_INLINE const Real* packed_row(const CrossExperts<Real>& net, const Matrix<const Real>& packed,
                                    int layer, int k) {
  return packed.row(static_cast<std::int64_t>(layer) * net.packed_rows() + k);
}

/// Items: the packed rows of one layer's v and u, for each layer; then the gate's rows; then the c of each
/// layer.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const UnpackExperts<Real>& args, std::int64_t item) {
  const CrossExperts<Real>& net = args.net;
  const std::int64_t factors = 2 * static_cast<std::int64_t>(net.layers) * net.width();
  if (item < factors) {
    const auto layer = static_cast<int>(item / (2 * net.width()));
    const auto k = static_cast<int>(item % (2 * net.width()));
    const bool is_v = k < net.width();
    const int j = is_v ? k : k - net.width();
    const Real* from = packed_row(net, args.d_packed, layer, is_v ? k : k + net.experts);
    Real* to = factor_column(net, (is_v ? net.d_v : net.d_u)[layer], j);
    for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) to[c * net.rank] = from[c];
  } else if (item < factors + net.experts) {
    const auto e = static_cast<int>(item - factors);
    Real* to = net.d_gate_weight + e * net.cols;
    for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) {
      Real sum = 0;
      for (int layer = 0; layer < net.layers; ++layer) {
        sum += packed_row(net, args.d_packed, layer, net.width() + e)[c];
      }
      to[c] = sum;
    }
  } else {
    const auto layer = static_cast<int>(item - factors - net.experts);
    const int block = net.rank * net.rank;
    for (int k = lanes.lane(); k < net.experts * block; k += Lanes::size) {
      const int first = k / block * net.rank;
      const std::int64_t from = static_cast<std::int64_t>(layer) * net.width() + first + k % block / net.rank;
      net.d_c[layer][k] = args.d_cores.row(from)[first + k % net.rank];
    }
  }
}

/// One lane a row.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes, const MixExperts<Real>& args, std::int64_t row) {
  const CrossExperts<Real>& net = args.net;
  const int width = net.width(), rank = net.rank;
  Real* v = args.inner.row(row);
  Real* gate = v + width;
  Real* of_core = args.core.row(row);
  Real* to = args.mixed.row(row);
  SLLMR_ROW_LOOP
  for (int k = 0; k < width; ++k) v[k] = tanh_of(v[k]);
  for (int k = 0; k < width; ++k) {
    const Real* c = net.c[args.layer] + static_cast<std::int64_t>(k) * rank;
    const Real* of_expert = v + k / rank * rank;
    Real sum = 0;
    for (int j = 0; j < rank; ++j) sum += c[j] * of_expert[j];
    of_core[k] = sum;
  }
  SLLMR_ROW_LOOP
  for (int k = 0; k < width; ++k) of_core[k] = tanh_of(of_core[k]);
  for (int e = 0; e < net.experts; ++e) gate[e] += net.gate_bias[e];
  softmax(gate, net.experts);
  for (int k = 0; k < width; ++k) to[k] = gate[k / rank] * of_core[k];
}

/// Item: one tap.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const ExpertTaps<Real>& args, std::int64_t item) {
  const CrossExperts<Real>& net = args.net;
  const Matrix<const Real>& packed = args.packed;
  int layer = 0;
  while (item >= net.first_tap(layer + 1)) ++layer;
  const int readers = net.readers(layer);
  const auto of_layer = static_cast<int>(item) - net.first_tap(layer);
  const int reader = of_layer % readers, factor = of_layer / readers - 1;  // -1: no column of U
  const Real* r = layer < net.layers ? packed_row(net, packed, layer, reader) : args.out_weight;
  Real* to = args.weights.row(item);
  if (factor >= 0) {
    const int below = factor / net.width(), column = factor % net.width();
    const Real* u = packed_row(net, packed, below, net.width() + net.experts + column);
    for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) to[c] = r[c] * u[c];
    return;
  }
  for (std::int64_t c = lanes.lane(); c < net.cols; c += Lanes::size) {
    Real sum = 1;
    for (int k = 0; k < layer; ++k) sum += net.bias[k][c];
    to[c] = r[c] * sum;
  }
}

/// Item: one row.
template <class Real>
struct ApplyTapsRow {
  int readers, below;        // below: how many h of the layers below there are
  const Real* user;          // the layer's taps
  Matrix<const Real> items;  // the layer's taps
  Matrix<const Real> mixed;
  Matrix<Real> out;

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
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes, const MixExpertsBackward<Real>& args, std::int64_t row) {
  const CrossExperts<Real>& net = args.net;
  const int width = net.width(), rank = net.rank;
  const Real* v = args.inner.row(row);
  const Real* gate = v + width;
  const Real* of_core = args.core.row(row);
  Real* d = args.d_mixed.row(row);
  Real* to = args.d_inner.row(row);
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
    const Real* c = net.c[args.layer] + static_cast<std::int64_t>(first) * rank + k % rank;
    Real sum = 0;
    for (int i = 0; i < rank; ++i) sum += c[i * rank] * d[first + i];
    to[k] = sum * (1 - v[k] * v[k]);
  }
}

template <class Real>
void run_here(const Context& context, const ApplyTaps<Real>& args) {
  const int first = args.net.first_tap(args.layer), end = args.net.first_tap(args.layer + 1);
  launch(context, "apply_taps", args.out.rows,
         ApplyTapsRow<Real>{args.net.readers(args.layer), args.layer * args.net.width(), args.user + first,
                            args.items.columns(first, end - first), args.mixed, args.out});
}

}  // namespace

SLLMR_ITEM_KERNELS(PackExperts, "pack_experts", args.packed.rows)
SLLMR_ITEM_KERNELS(UnpackExperts, "unpack_experts",
                   2 * args.net.layers * args.net.width() + args.net.experts + args.net.layers)
SLLMR_EACH_ITEM_KERNELS(MixExperts, "mix_experts", args.inner.rows)
SLLMR_EACH_ITEM_KERNELS(MixExpertsBackward, "mix_experts_backward", args.inner.rows)
SLLMR_ITEM_KERNELS(ExpertTaps, "expert_taps", args.weights.rows)
SLLMR_KERNELS(ApplyTaps)

}  // namespace sllmr
