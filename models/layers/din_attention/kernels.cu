#include "models/layers/din_attention/kernels.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/matrix.h"

namespace sllmr {

namespace {

/// Item: one unit of the first layer, and as the last one the constant c.
template <class Real>
struct Fold {
  DinParameters<Real> of;
  Matrix<Real> folded;
  Real* tail;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t unit) const {
    if (unit == of.units) {
      const Real sum =
          sum_of<Real>(lanes, of.units1, [&](std::int64_t i) { return of.weight2[i] * of.bias1[i]; });
      if (lanes.lane() == 0) tail[unit] = sum + of.bias2[0];
      return;
    }
    const int width = of.width;
    const Real* w = of.weight + unit * 4 * width;
    Real* to = folded.row(unit);
    SLLMR_ROW_LOOP
    for (int d = lanes.lane(); d < width; d += Lanes::size) {
      to[d] = w[d] + w[2 * width + d];
      to[width + d] = w[width + d] - w[2 * width + d];
    }
    const Real sum = sum_of<Real>(
        lanes, of.units1, [&](std::int64_t i) { return of.weight2[i] * of.weight1[i * of.units + unit]; });
    if (lanes.lane() == 0) tail[unit] = sum;
  }
};

/// Item: one position.
template <class Real>
struct Products {
  DinHistory history;
  int width;
  Matrix<Real> query, keys, products;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t p) const {
    const Real* q = query.row(history.row_of_position[p]);
    const Real* k = keys.row(p);
    Real* to = products.row(p);
    SLLMR_ROW_LOOP
    for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = q[d] * k[d];
  }
};

/// Item: one row, with all its positions.
template <class Real>
struct Pool {
  DinHistory history;
  int width, units;
  const Real* bias;
  const Real* tail;
  Matrix<Real> of_query, keys, hidden, weights, out;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t r) const {
    const Real* u = of_query.row(r);
    Real* to = out.row(r);
    SLLMR_ROW_LOOP
    for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = 0;
    for (std::int64_t p = history.first_position[r]; p < history.first_position[r + 1]; ++p) {
      Real* h = hidden.row(p);
      const Real a = tail[units] + sum_of<Real>(lanes, units, [&](std::int64_t j) {
                       const Real y = h[j] + u[j] + bias[j];
                       h[j] = y < 0 ? Real(0) : y;
                       return tail[j] * h[j];
                     });
      if (lanes.lane() == 0) *weights.row(p) = a;
      const Real* k = keys.row(p);
      SLLMR_ROW_LOOP
      for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] += a * k[d];
    }
  }
};

/// Item: one unit of one position.
template <class Real>
struct ScaleKeys {
  DinParameters<Real> of;
  Matrix<Real> keys, scaled;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const int width = of.width;
    const Real* w = of.weight + (item % of.units * 4 + 3) * width;
    const Real* k = keys.row(item / of.units);
    Real* to = scaled.row(item);
    SLLMR_ROW_LOOP
    for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = w[d] * k[d];
  }
};

/// Item: one row.
template <class Real>
struct RankWeights {
  int positions, units;
  const Real* tail;
  Matrix<Real> products, of_query, of_keys, weights;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t r) const {
    const Real* u = of_query.row(r);
    for (int p = 0; p < positions; ++p) {
      const Real* h = products.row(r) + static_cast<std::int64_t>(p) * units;
      const Real* k = of_keys.row(p);
      const Real sum = sum_of<Real>(lanes, units, [=, t = tail](std::int64_t j) {
        const Real y = h[j] + u[j] + k[j];
        return t[j] * (y < 0 ? Real(0) : y);
      });
      if (lanes.lane() == 0) weights.row(r)[p] = sum + tail[units];
    }
  }
};

template <class Real>
struct PoolBackward {
  DinHistory history;
  int width, units;
  const Real* tail;
  Matrix<Real> keys, hidden, d_out, d_weights, d_hidden, d_of_query;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t r) const {
    const Real* d = d_out.row(r);
    Real* d_u = d_of_query.row(r);
    SLLMR_ROW_LOOP
    for (int j = lanes.lane(); j < units; j += Lanes::size) d_u[j] = 0;
    for (std::int64_t p = history.first_position[r]; p < history.first_position[r + 1]; ++p) {
      const Real* k = keys.row(p);
      const Real d_a = sum_of<Real>(lanes, width, [&](std::int64_t i) { return d[i] * k[i]; });
      if (lanes.lane() == 0) *d_weights.row(p) = d_a;
      const Real* h = hidden.row(p);
      Real* d_h = d_hidden.row(p);
      SLLMR_ROW_LOOP
      for (int j = lanes.lane(); j < units; j += Lanes::size) {
        const Real d_j = d_a * tail[j];
        d_h[j] = h[j] > 0 ? d_j : Real(0);
        d_u[j] += d_h[j];
      }
    }
  }
};

template <class Real>
struct KeysBackward {
  DinHistory history;
  int width;
  Matrix<Real> query, keys, weights, d_out, d_products, d_query, d_keys;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t r) const {
    const Real* d = d_out.row(r);
    const Real* q = query.row(r);
    Real* d_q = d_query.row(r);
    for (std::int64_t p = history.first_position[r]; p < history.first_position[r + 1]; ++p) {
      const Real a = *weights.row(p);
      const Real* k = keys.row(p);
      const Real* d_qk = d_products.row(p);
      Real* d_k = d_keys.row(p);
      SLLMR_ROW_LOOP
      for (int i = lanes.lane(); i < width; i += Lanes::size) {
        d_k[i] += a * d[i] + d_qk[i] * q[i];
        d_q[i] += d_qk[i] * k[i];
      }
    }
  }
};

/// Item: one unit of the first layer, and as the last one the parameters of the others that belong to none.
template <class Real>
struct UnfoldGradients {
  DinParameters<Real> of, gradients;
  std::int64_t rows, positions;
  Matrix<Real> d_folded, d_of_query, d_weights;
  const Real* d_tail;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t unit) const {
    if (unit == of.units) {
      rest(lanes);
      return;
    }
    const int width = of.width;
    const Real* from = d_folded.row(unit);
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
    const Real sum = sum_of<Real>(lanes, rows, [&](std::int64_t r) { return d_of_query.row(r)[unit]; });
    if (lanes.lane() == 0) gradients.bias[unit] = sum;
  }

 private:
  template <class Lanes>
  SLLMR_HD void rest(Lanes lanes) const {
    const Real d_c = sum_of<Real>(lanes, positions, [&](std::int64_t p) { return *d_weights.row(p); });
    if (lanes.lane() == 0) *gradients.bias2 = d_c;
    for (int i = 0; i < of.units1; ++i) {
      const Real* w = of.weight1 + i * of.units;
      const Real sum = sum_of<Real>(lanes, of.units, [&](std::int64_t j) { return w[j] * d_tail[j]; });
      if (lanes.lane() != 0) continue;
      gradients.weight2[i] = sum + of.bias1[i] * d_c;
      gradients.bias1[i] = of.weight2[i] * d_c;
    }
  }
};

}  // namespace

template <class Real, class OnDevice>
void din_fold_on(OnDevice, const Context& context, const DinParameters<Real>& parameters,
                 const Tensor<Real>& folded, const Tensor<Real>& tail) {
  launch(context, "din_fold", parameters.units + 1, Fold<Real>{parameters, matrix(folded), tail.data()});
}

template <class Real, class OnDevice>
void din_products_on(OnDevice, const Context& context, const DinHistory& history, const Tensor<Real>& query,
                     const Tensor<Real>& keys, const Tensor<Real>& products) {
  launch(
      context, "din_products", keys.rows(),
      Products<Real>{history, static_cast<int>(keys.cols()), matrix(query), matrix(keys), matrix(products)});
}

template <class Real, class OnDevice>
void din_pool_on(OnDevice, const Context& context, const DinHistory& history, const Tensor<Real>& of_query,
                 const Real* bias, const Tensor<Real>& tail, const Tensor<Real>& keys,
                 const Tensor<Real>& hidden, const Tensor<Real>& weights, const Tensor<Real>& out) {
  launch(context, "din_pool", out.rows(),
         Pool<Real>{history, static_cast<int>(out.cols()), static_cast<int>(hidden.cols()), bias, tail.data(),
                    matrix(of_query), matrix(keys), matrix(hidden), matrix(weights), matrix(out)});
}

template <class Real, class OnDevice>
void din_scale_keys_on(OnDevice, const Context& context, const DinParameters<Real>& parameters,
                       const Tensor<Real>& keys, const Tensor<Real>& scaled) {
  launch(context, "din_scale_keys", scaled.rows(), ScaleKeys<Real>{parameters, matrix(keys), matrix(scaled)});
}

template <class Real, class OnDevice>
void din_rank_weights_on(OnDevice, const Context& context, const Tensor<Real>& products,
                         const Tensor<Real>& of_query, const Tensor<Real>& of_keys, const Tensor<Real>& tail,
                         const Tensor<Real>& weights) {
  launch(context, "din_rank_weights", weights.rows(),
         RankWeights<Real>{static_cast<int>(weights.cols()), static_cast<int>(of_query.cols()), tail.data(),
                           matrix(products), matrix(of_query), matrix(of_keys), matrix(weights)});
}

template <class Real, class OnDevice>
void din_pool_backward_on(OnDevice, const Context& context, const DinHistory& history,
                          const Tensor<Real>& tail, const Tensor<Real>& keys, const Tensor<Real>& hidden,
                          const Tensor<Real>& d_out, const Tensor<Real>& d_weights,
                          const Tensor<Real>& d_hidden, const Tensor<Real>& d_of_query) {
  launch(context, "din_pool_backward", d_out.rows(),
         PoolBackward<Real>{history, static_cast<int>(d_out.cols()), static_cast<int>(hidden.cols()),
                            tail.data(), matrix(keys), matrix(hidden), matrix(d_out), matrix(d_weights),
                            matrix(d_hidden), matrix(d_of_query)});
}

template <class Real, class OnDevice>
void din_keys_backward_on(OnDevice, const Context& context, const DinHistory& history,
                          const Tensor<Real>& query, const Tensor<Real>& keys, const Tensor<Real>& weights,
                          const Tensor<Real>& d_out, const Tensor<Real>& d_products,
                          const Tensor<Real>& d_query, const Tensor<Real>& d_keys) {
  launch(context, "din_keys_backward", d_out.rows(),
         KeysBackward<Real>{history, static_cast<int>(d_out.cols()), matrix(query), matrix(keys),
                            matrix(weights), matrix(d_out), matrix(d_products), matrix(d_query),
                            matrix(d_keys)});
}

template <class Real, class OnDevice>
void din_unfold_gradients_on(OnDevice, const Context& context, const DinParameters<Real>& parameters,
                             const Tensor<Real>& d_folded, const Tensor<Real>& d_of_query,
                             const Tensor<Real>& d_weights, const Tensor<Real>& d_tail,
                             const DinParameters<Real>& gradients) {
  launch(context, "din_unfold_gradients", parameters.units + 1,
         UnfoldGradients<Real>{parameters, gradients, d_of_query.rows(), d_weights.rows(), matrix(d_folded),
                               matrix(d_of_query), matrix(d_weights), d_tail.data()});
}

#define SLLMR_INSTANTIATE(Real)                                                                             \
  template void din_fold_on(OnThisDevice, const Context&, const DinParameters<Real>&, const Tensor<Real>&,  \
                            const Tensor<Real>&);                                                           \
  template void din_products_on(OnThisDevice, const Context&, const DinHistory&, const Tensor<Real>&,       \
                                const Tensor<Real>&, const Tensor<Real>&);                                  \
  template void din_pool_on(OnThisDevice, const Context&, const DinHistory&, const Tensor<Real>&,           \
                            const Real*, const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&,     \
                            const Tensor<Real>&, const Tensor<Real>&);                                      \
  template void din_scale_keys_on(OnThisDevice, const Context&, const DinParameters<Real>&,                 \
                                  const Tensor<Real>&, const Tensor<Real>&);                                \
  template void din_rank_weights_on(OnThisDevice, const Context&, const Tensor<Real>&, const Tensor<Real>&, \
                                    const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&);         \
  template void din_pool_backward_on(OnThisDevice, const Context&, const DinHistory&, const Tensor<Real>&,  \
                                     const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&,         \
                                     const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&);        \
  template void din_keys_backward_on(OnThisDevice, const Context&, const DinHistory&, const Tensor<Real>&,  \
                                     const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&,         \
                                     const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&);        \
  template void din_unfold_gradients_on(OnThisDevice, const Context&, const DinParameters<Real>&,           \
                                        const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&,      \
                                        const Tensor<Real>&, const DinParameters<Real>&);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
