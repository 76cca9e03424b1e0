#include "models/layers/din_attention/kernels.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

/// to = a * b, number by number.
template <class Real, class Lanes>
SLLMR_INLINE void write_products(Lanes lanes, int width, const Real* a, const Real* b, Real* to) {
  SLLMR_ROW_LOOP
  for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = a[d] * b[d];
}

template <class Real, class Lanes>
SLLMR_INLINE void write_zeros(Lanes lanes, int width, Real* to) {
  SLLMR_ROW_LOOP
  for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = 0;
}

/// Item: one unit of the first layer, and as the last one the constant c.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DinFold<Real>& args, std::int64_t unit) {
  const DinParameters<const Real>& of = args.of;
  Real* tail = args.tail;
  if (unit == of.units) {
    const Real sum =
        sum_of<Real>(lanes, of.units1, [&](std::int64_t i) { return of.weight2[i] * of.bias1[i]; });
    if (lanes.lane() == 0) tail[unit] = sum + of.bias2[0];
    return;
  }
  const int width = of.width;
  const Real* w = of.weight + unit * 4 * width;
  Real* to = args.folded.row(unit);
  SLLMR_ROW_LOOP
  for (int d = lanes.lane(); d < width; d += Lanes::size) {
    to[d] = w[d] + w[2 * width + d];
    to[width + d] = w[width + d] - w[2 * width + d];
  }
  const Real sum = sum_of<Real>(
      lanes, of.units1, [&](std::int64_t i) { return of.weight2[i] * of.weight1[i * of.units + unit]; });
  if (lanes.lane() == 0) tail[unit] = sum;
}

/// Item: one position.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DinProducts<Real>& args, std::int64_t p) {
  const Real* q = args.query.row(args.row_of_position[p]);
  write_products(lanes, static_cast<int>(args.keys.cols), q, args.keys.row(p), args.products.row(p));
}

/// Item: one row, with all its positions.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DinPool<Real>& args, std::int64_t r) {
  const int width = static_cast<int>(args.out.cols), units = static_cast<int>(args.hidden.cols);
  const Real* bias = args.bias;
  const Real* tail = args.tail;
  const Real* u = args.of_query.row(r);
  Real* to = args.out.row(r);
  write_zeros(lanes, width, to);
  for (std::int64_t p = args.first_position[r]; p < args.first_position[r + 1]; ++p) {
    Real* h = args.hidden.row(p);
    const Real a = tail[units] + sum_of<Real>(lanes, units, [&](std::int64_t j) {
                     const Real y = h[j] + u[j] + bias[j];
                     h[j] = y < 0 ? Real(0) : y;
                     return tail[j] * h[j];
                   });
    if (lanes.lane() == 0) *args.weights.row(p) = a;
    const Real* k = args.keys.row(p);
    SLLMR_ROW_LOOP
    for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] += a * k[d];
  }
}

/// Item: one unit of one position.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DinScaleKeys<Real>& args, std::int64_t item) {
  const int width = args.of.width, units = args.of.units;
  const Real* w = args.of.weight + (item % units * 4 + 3) * width;
  write_products(lanes, width, w, args.keys.row(item / units), args.scaled.row(item));
}

/// Item: one row.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DinRankWeights<Real>& args, std::int64_t r) {
  const int positions = static_cast<int>(args.weights.cols), units = static_cast<int>(args.of_query.cols);
  const Real* tail = args.tail;
  const Real* u = args.of_query.row(r);
  for (int p = 0; p < positions; ++p) {
    const Real* h = args.products.row(r) + static_cast<std::int64_t>(p) * units;
    const Real* k = args.of_keys.row(p);
    const Real sum = sum_of<Real>(lanes, units, [=](std::int64_t j) {
      const Real y = h[j] + u[j] + k[j];
      return tail[j] * (y < 0 ? Real(0) : y);
    });
    if (lanes.lane() == 0) args.weights.row(r)[p] = sum + tail[units];
  }
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DinPoolBackward<Real>& args, std::int64_t r) {
  const int width = static_cast<int>(args.d_out.cols), units = static_cast<int>(args.hidden.cols);
  const Real* tail = args.tail;
  const Real* d = args.d_out.row(r);
  Real* d_u = args.d_of_query.row(r);
  write_zeros(lanes, units, d_u);
  for (std::int64_t p = args.first_position[r]; p < args.first_position[r + 1]; ++p) {
    const Real* k = args.keys.row(p);
    const Real d_a = sum_of<Real>(lanes, width, [&](std::int64_t i) { return d[i] * k[i]; });
    if (lanes.lane() == 0) *args.d_weights.row(p) = d_a;
    const Real* h = args.hidden.row(p);
    Real* d_h = args.d_hidden.row(p);
    SLLMR_ROW_LOOP
    for (int j = lanes.lane(); j < units; j += Lanes::size) {
      const Real d_j = d_a * tail[j];
      d_h[j] = h[j] > 0 ? d_j : Real(0);
      d_u[j] += d_h[j];
    }
  }
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DinKeysBackward<Real>& args, std::int64_t r) {
  const int width = static_cast<int>(args.d_out.cols);
  const Real* d = args.d_out.row(r);
  const Real* q = args.query.row(r);
  Real* d_q = args.d_query.row(r);
  for (std::int64_t p = args.first_position[r]; p < args.first_position[r + 1]; ++p) {
    const Real a = *args.weights.row(p);
    const Real* k = args.keys.row(p);
    const Real* d_qk = args.d_products.row(p);
    Real* d_k = args.d_keys.row(p);
    SLLMR_ROW_LOOP
    for (int i = lanes.lane(); i < width; i += Lanes::size) {
      d_k[i] += a * d[i] + d_qk[i] * q[i];
      d_q[i] += d_qk[i] * k[i];
    }
  }
}

/// The gradients of the parameters that belong to no unit of the first layer.
template <class Real, class Lanes>
SLLMR_INLINE void unfold_rest(Lanes lanes, const DinUnfoldGradients<Real>& args) {
  const DinParameters<const Real>& of = args.of;
  const DinParameters<Real>& gradients = args.gradients;
  const Real* d_tail = args.d_tail;
  const Matrix<const Real>& d_weights = args.d_weights;
  const Real d_c = sum_of<Real>(lanes, d_weights.rows, [&](std::int64_t p) { return *d_weights.row(p); });
  if (lanes.lane() == 0) *gradients.bias2 = d_c;
  for (int i = 0; i < of.units1; ++i) {
    const Real* w = of.weight1 + i * of.units;
    const Real sum = sum_of<Real>(lanes, of.units, [&](std::int64_t j) { return w[j] * d_tail[j]; });
    if (lanes.lane() != 0) continue;
    gradients.weight2[i] = sum + of.bias1[i] * d_c;
    gradients.bias1[i] = of.weight2[i] * d_c;
  }
}

/// Item: one unit of the first layer, and as the last one the rest.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const DinUnfoldGradients<Real>& args, std::int64_t unit) {
  const DinParameters<const Real>& of = args.of;
  const DinParameters<Real>& gradients = args.gradients;
  const Real* d_tail = args.d_tail;
  if (unit == of.units) {
    unfold_rest(lanes, args);
    return;
  }
  const int width = of.width;
  const Real* from = args.d_folded.row(unit);
  Real* to = gradients.weight + unit * 4 * width;
  SLLMR_ROW_LOOP
  for (int d = lanes.lane(); d < width; d += Lanes::size) {
    const Real of_q = from[d], of_k = from[width + d];
    to[d] = of_q;
    to[width + d] = of_k;
    to[2 * width + d] = of_q - of_k;
  }
  for (int i = lanes.lane(); i < of.units1; i += Lanes::size) {
    gradients.weight1[i * of.units + unit] = of.weight2[i] * d_tail[unit];
  }
  const Matrix<const Real>& d_of_query = args.d_of_query;
  const Real sum =
      sum_of<Real>(lanes, d_of_query.rows, [&](std::int64_t r) { return d_of_query.row(r)[unit]; });
  if (lanes.lane() == 0) gradients.bias[unit] = sum;
}

}  // namespace

SLLMR_ITEM_KERNELS(DinFold, "din_fold", args.of.units + 1)
SLLMR_ITEM_KERNELS(DinProducts, "din_products", args.keys.rows)
SLLMR_ITEM_KERNELS(DinPool, "din_pool", args.out.rows)
SLLMR_ITEM_KERNELS(DinScaleKeys, "din_scale_keys", args.scaled.rows)
SLLMR_ITEM_KERNELS(DinRankWeights, "din_rank_weights", args.weights.rows)
SLLMR_ITEM_KERNELS(DinPoolBackward, "din_pool_backward", args.d_out.rows)
SLLMR_ITEM_KERNELS(DinKeysBackward, "din_keys_backward", args.d_out.rows)
SLLMR_ITEM_KERNELS(DinUnfoldGradients, "din_unfold_gradients", args.of.units + 1)

}  // namespace sllmr
