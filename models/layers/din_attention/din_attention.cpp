#include "models/layers/din_attention/din_attention.h"

#include <cmath>

#include "kernels/dense/activation.h"
#include "kernels/dense/combine.h"
#include "kernels/exec/gemm.h"
#include "models/layers/shapes.h"

namespace sllmr {

namespace {

DinHistory history_of(const FeatureBatch& batch) {
  return {batch.first_position, batch.row_of_position};
}

}  // namespace

template <class Real>
DinAttention<Real>::DinAttention(Parameters<Real>& parameters, const std::string& name, int width,
                                 std::array<int, 2> units)
    : name_(name), parameters_(&parameters), width_(width), units_(units) {
  require(width > 0, "layer '" + name + "': the width must be at least 1");
  const std::array<std::int64_t, 4> sizes{4 * std::int64_t{width}, units[0], units[1], 1};
  for (std::size_t k = 0; k < 3; ++k) {
    const std::string of_layer = name + "." + std::to_string(k);
    const double deviation = std::sqrt(2.0 / static_cast<double>(sizes[k] + sizes[k + 1]));
    weights_[k] = parameters.add(of_layer + ".weight", {sizes[k + 1], sizes[k]}, Initial::normal(deviation));
    biases_[k] = parameters.add(of_layer + ".bias", {sizes[k + 1]}, Initial::constant(0));
  }
}

template <class Real>
DinParameters<Real> DinAttention<Real>::values() const {
  const auto value = [&](int part) { return parameters_->value(part); };
  return {value(weights_[0]),
          value(biases_[0]),
          value(weights_[1]),
          value(biases_[1]),
          value(weights_[2]),
          value(biases_[2]),
          width_,
          units_[0],
          units_[1]};
}

template <class Real>
DinParameters<Real> DinAttention<Real>::gradients() const {
  const auto gradient = [&](int part) { return parameters_->gradient(part); };
  return {gradient(weights_[0]),
          gradient(biases_[0]),
          gradient(weights_[1]),
          gradient(biases_[1]),
          gradient(weights_[2]),
          gradient(biases_[2]),
          width_,
          units_[0],
          units_[1]};
}

template <class Real>
void DinAttention<Real>::forward(const Context& context, const FeatureBatch& batch, const Tensor<Real>& query,
                                 const Tensor<Real>& keys, const Tensor<Real>& out, Saved* saved) const {
  require(batch.sequence, "layer '" + name_ + "' needs the history item by item: make a sequence batch");
  require_shape(name_, "query", query, batch.rows, width_);
  require_shape(name_, "keys", keys, batch.positions, width_);
  require_shape(name_, "output", out, batch.rows, width_);
  const std::int64_t rows = batch.rows, positions = batch.positions, units = units_[0];
  const std::int64_t twins = batch.twin_positions, own = positions - twins;
  const DinParameters<Real> of = values();
  const Tensor<Real> folded(context, units, 2 * width_), tail(context, 1, units + 1);
  const Tensor<Real> of_query(context, rows, units);
  const Tensor<Real> products(context, positions, width_), hidden(context, positions, units),
      weights(context, positions, 1);
  din_fold(context, of, folded, tail);
  din_products(context, history_of(batch), query, keys, products);
  gemm(context, Transpose::no, Transpose::yes, rows, units, width_, Real(1), query.data(), query.stride(),
       folded.data(), folded.stride(), Real(0), of_query.data(), units);
  gemm(context, Transpose::no, Transpose::yes, own, units, width_, Real(1), keys.data(), keys.stride(),
       folded.data() + width_, folded.stride(), Real(0), hidden.data(), units);
  if (twins > 0) {
    copy_on_device(context, hidden.data() + own * units, hidden.data() + (own - twins) * units,
                   static_cast<std::size_t>(twins * units) * sizeof(Real));
  }
  gemm(context, Transpose::no, Transpose::yes, positions, units, width_, Real(1), products.data(), width_,
       of.weight + 3 * width_, 4 * std::int64_t{width_}, Real(1), hidden.data(), units);
  din_pool(context, history_of(batch), of_query, of.bias, tail, keys, hidden, weights, out);
  if (saved != nullptr) *saved = {query, keys, folded, tail, products, hidden, weights};
}

template <class Real>
Tensor<Real> DinAttention<Real>::backward(const Context& context, const FeatureBatch& batch,
                                          const Saved& saved, const Tensor<Real>& d_out,
                                          const Tensor<Real>& d_query) const {
  const std::int64_t rows = batch.rows, positions = batch.positions, units = units_[0];
  const std::int64_t twins = batch.twin_positions, own = positions - twins;
  const std::int64_t weight_stride = 4 * std::int64_t{width_};
  require_shape(name_, "keys", saved.keys, positions, width_);
  require_shape(name_, "output's gradient", d_out, rows, width_);
  require_shape(name_, "query's gradient", d_query, rows, width_);
  const DinParameters<Real> of = values(), d_of = gradients();
  const Tensor<Real> d_weights(context, positions, 1), d_hidden(context, positions, units),
      d_of_query(context, rows, units);
  din_pool_backward(context, history_of(batch), saved.tail, saved.keys, saved.hidden, d_out, d_weights,
                    d_hidden, d_of_query);

  const Tensor<Real> d_folded(context, units, 2 * width_), d_tail(context, 1, units);
  gemm(context, Transpose::yes, Transpose::no, units, width_, rows, Real(1), d_of_query.data(), units,
       saved.query.data(), saved.query.stride(), Real(0), d_folded.data(), d_folded.stride());
  gemm(context, Transpose::yes, Transpose::no, units, width_, positions, Real(1), d_hidden.data(), units,
       saved.products.data(), width_, Real(0), d_of.weight + 3 * width_, weight_stride);
  gemm(context, Transpose::yes, Transpose::no, 1, units, positions, Real(1), d_weights.data(), 1,
       saved.hidden.data(), units, Real(0), d_tail.data(), units);
  const Tensor<Real> d_products(context, positions, width_);
  gemm(context, Transpose::no, Transpose::no, positions, width_, units, Real(1), d_hidden.data(), units,
       of.weight + 3 * width_, weight_stride, Real(0), d_products.data(), width_);

  // What comes through the keys alone: twins have the same, so their gradients are added first.
  Tensor<Real> d_keys(context, positions, width_);
  if (twins > 0) {
    run(context,
        AddTo<Real>{.x = d_hidden.row_range(own, twins), .to = d_hidden.row_range(own - twins, twins)});
    fill_zero(context, d_keys.data() + own * width_, static_cast<std::size_t>(twins * width_) * sizeof(Real));
  }
  gemm(context, Transpose::yes, Transpose::no, units, width_, own, Real(1), d_hidden.data(), units,
       saved.keys.data(), saved.keys.stride(), Real(0), d_folded.data() + width_, d_folded.stride());
  gemm(context, Transpose::no, Transpose::no, own, width_, units, Real(1), d_hidden.data(), units,
       saved.folded.data() + width_, saved.folded.stride(), Real(0), d_keys.data(), width_);
  din_unfold_gradients(context, of, d_folded, d_of_query, d_weights, d_tail, d_of);
  gemm(context, Transpose::no, Transpose::no, rows, width_, units, Real(1), d_of_query.data(), units,
       saved.folded.data(), saved.folded.stride(), Real(1), d_query.data(), d_query.stride());
  din_keys_backward(context, history_of(batch), saved.query, saved.keys, saved.weights, d_out, d_products,
                    d_query, d_keys);
  return d_keys;
}

template <class Real>
typename DinAttention<Real>::QuerySide DinAttention<Real>::query_side(const Context& context,
                                                                      const Tensor<Real>& query) const {
  require_width(name_, "query", query, width_);
  const DinParameters<Real> of = values();
  const Tensor<Real> folded(context, units_[0], 2 * width_), tail(context, 1, units_[0] + 1);
  din_fold(context, of, folded, tail);
  QuerySide out{query, Tensor<Real>(context, query.rows(), units_[0])};
  gemm(context, Transpose::no, Transpose::yes, query.rows(), units_[0], width_, Real(1), query.data(),
       query.stride(), folded.data(), folded.stride(), Real(0), out.hidden.data(), units_[0]);
  run(context, Epilogue<Real>{.x = out.hidden, .shift = of.bias, .out = out.hidden});
  return out;
}

template <class Real>
typename DinAttention<Real>::KeySide DinAttention<Real>::key_side(const Context& context,
                                                                  const Tensor<Real>& keys) const {
  require_width(name_, "keys", keys, width_);
  const DinParameters<Real> of = values();
  const Tensor<Real> folded(context, units_[0], 2 * width_);
  KeySide out{Tensor<Real>(context, keys.rows(), units_[0]),
              Tensor<Real>(context, keys.rows() * units_[0], width_),
              Tensor<Real>(context, 1, units_[0] + 1)};
  din_fold(context, of, folded, out.tail);
  gemm(context, Transpose::no, Transpose::yes, keys.rows(), units_[0], width_, Real(1), keys.data(),
       keys.stride(), folded.data() + width_, folded.stride(), Real(0), out.hidden.data(), units_[0]);
  din_scale_keys(context, of, keys, out.scaled);
  return out;
}

template <class Real>
Tensor<Real> DinAttention<Real>::weights(const Context& context, const QuerySide& items, const KeySide& keys,
                                         std::int64_t first, std::int64_t count) const {
  const std::int64_t rows = items.query.rows(), units = units_[0];
  const Tensor<Real> products(context, rows, count * units);
  Tensor<Real> out(context, rows, count);
  gemm(context, Transpose::no, Transpose::yes, rows, count * units, width_, Real(1), items.query.data(),
       items.query.stride(), keys.scaled.row_range(first * units, count * units).data(), width_, Real(0),
       products.data(), products.stride());
  din_rank_weights(context, products, items.hidden, keys.hidden.row_range(first, count), keys.tail, out);
  return out;
}

template class DinAttention<float>;
template class DinAttention<double>;

}  // namespace sllmr
