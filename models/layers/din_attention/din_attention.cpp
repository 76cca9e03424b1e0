#include "models/layers/din_attention/din_attention.h"

#include <cmath>

#include "kernels/dense/activation.h"
#include "kernels/dense/combine.h"
#include "kernels/exec/gemm.h"
#include "models/layers/shapes.h"

namespace sllmr {

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
template <class T, class PointerTo>
DinParameters<T> DinAttention<Real>::parts(const PointerTo& pointer_to) const {
  return {.weight = pointer_to(weights_[0]),
          .bias = pointer_to(biases_[0]),
          .weight1 = pointer_to(weights_[1]),
          .bias1 = pointer_to(biases_[1]),
          .weight2 = pointer_to(weights_[2]),
          .bias2 = pointer_to(biases_[2]),
          .width = width_,
          .units = units_[0],
          .units1 = units_[1]};
}

template <class Real>
DinParameters<const Real> DinAttention<Real>::values() const {
  return parts<const Real>([&](int part) { return parameters_->value(part); });
}

template <class Real>
DinParameters<Real> DinAttention<Real>::gradients() const {
  return parts<Real>([&](int part) { return parameters_->gradient(part); });
}

template <class Real>
typename DinAttention<Real>::Folded DinAttention<Real>::fold(const Context& context) const {
  Folded out{Tensor<Real>(context, units_[0], 2 * width_), Tensor<Real>(context, 1, units_[0] + 1)};
  run(context, DinFold<Real>{.of = values(), .folded = out.weight, .tail = out.tail.data()});
  return out;
}

template <class Real>
void DinAttention<Real>::forward(const Context& context, const FeatureBatch& batch, const Tensor<Real>& query,
                                 const Tensor<Real>& keys, const Tensor<Real>& out, Saved* saved) const {
  require(batch.sequence, "layer '" + name_ + "' needs the history item by item: make a sequence batch");
  require_shape(name_, "query", query, batch.rows, width_);
  require_shape(name_, "keys", keys, batch.own_positions(), width_);
  require_shape(name_, "output", out, batch.rows, width_);
  const std::int64_t rows = batch.rows, positions = batch.own_positions(), units = units_[0];
  const std::int64_t twins = batch.twin_positions, own = positions - twins;
  const Folded folded = fold(context);
  const Tensor<Real> of_query(context, rows, units);
  const Tensor<Real> products(context, positions, width_), hidden(context, positions, units),
      weights(context, positions, 1);
  run(context,
      DinProducts<Real>{
          .row_of_position = batch.row_of_position, .query = query, .keys = keys, .products = products});
  multiply(context, query, transposed(folded.of_query()), of_query);
  multiply(context, keys.row_range(0, own), transposed(folded.of_keys()), hidden.row_range(0, own));
  if (twins > 0) {
    copy_on_device(context, hidden.row_range(own, twins).data(), hidden.row_range(own - twins, twins).data(),
                   static_cast<std::size_t>(twins * units) * sizeof(Real));
  }
  multiply_add(context, products, transposed(of_products(parameters_->matrix(weights_[0]))), hidden);
  run(context, DinPool<Real>{.first_position = batch.first_position,
                             .of_query = of_query,
                             .bias = parameters_->value(biases_[0]),
                             .tail = folded.tail.data(),
                             .keys = keys,
                             .hidden = hidden,
                             .weights = weights,
                             .out = out});
  if (saved != nullptr) *saved = {query, keys, folded, products, hidden, weights};
}

template <class Real>
Tensor<Real> DinAttention<Real>::backward(const Context& context, const FeatureBatch& batch,
                                          const Saved& saved, const Tensor<Real>& d_out,
                                          const Tensor<Real>& d_query) const {
  const std::int64_t rows = batch.rows, positions = batch.own_positions(), units = units_[0];
  const std::int64_t twins = batch.twin_positions, own = positions - twins;
  require_shape(name_, "keys", saved.keys, positions, width_);
  require_shape(name_, "output's gradient", d_out, rows, width_);
  require_shape(name_, "query's gradient", d_query, rows, width_);
  const Tensor<Real> d_weights(context, positions, 1), d_hidden(context, positions, units),
      d_of_query(context, rows, units);
  run(context, DinPoolBackward<Real>{.first_position = batch.first_position,
                                     .tail = saved.folded.tail.data(),
                                     .keys = saved.keys,
                                     .hidden = saved.hidden,
                                     .d_out = d_out,
                                     .d_weights = d_weights,
                                     .d_hidden = d_hidden,
                                     .d_of_query = d_of_query});

  const Folded d_folded{Tensor<Real>(context, units, 2 * width_), Tensor<Real>(context, 1, units)};
  multiply(context, transposed(d_of_query), saved.query, d_folded.of_query());
  multiply(context, transposed(d_hidden), saved.products,
           of_products(parameters_->gradient_matrix(weights_[0])));
  multiply(context, transposed(d_weights), saved.hidden, d_folded.tail);
  const Tensor<Real> d_products(context, positions, width_);
  multiply(context, d_hidden, of_products(parameters_->matrix(weights_[0])), d_products);

  // What comes through the keys alone: twins have the same, so their gradients are added first.
  const Tensor<Real> d_hidden_own = d_hidden.row_range(0, own);
  Tensor<Real> d_keys(context, positions, width_);
  if (twins > 0) {
    run(context,
        AddTo<Real>{.x = d_hidden.row_range(own, twins), .to = d_hidden.row_range(own - twins, twins)});
    fill_zero(context, d_keys.row_range(own, twins).data(),
              static_cast<std::size_t>(twins * width_) * sizeof(Real));
  }
  multiply(context, transposed(d_hidden_own), saved.keys.row_range(0, own), d_folded.of_keys());
  multiply(context, d_hidden_own, saved.folded.of_keys(), d_keys.row_range(0, own));
  run(context, DinUnfoldGradients<Real>{.of = values(),
                                        .d_folded = d_folded.weight,
                                        .d_of_query = d_of_query,
                                        .d_weights = d_weights,
                                        .d_tail = d_folded.tail.data(),
                                        .gradients = gradients()});
  multiply_add(context, d_of_query, saved.folded.of_query(), d_query);
  run(context, DinKeysBackward<Real>{.first_position = batch.first_position,
                                     .query = saved.query,
                                     .keys = saved.keys,
                                     .weights = saved.weights,
                                     .d_out = d_out,
                                     .d_products = d_products,
                                     .d_query = d_query,
                                     .d_keys = d_keys});
  return d_keys;
}

template <class Real>
typename DinAttention<Real>::QuerySide DinAttention<Real>::query_side(const Context& context,
                                                                      const Tensor<Real>& query) const {
  require_width(name_, "query", query, width_);
  QuerySide out{query, products<Real>(context, query, fold(context).of_query())};
  run(context, Epilogue<Real>{.x = out.hidden, .shift = parameters_->value(biases_[0]), .out = out.hidden});
  return out;
}

template <class Real>
typename DinAttention<Real>::KeySide DinAttention<Real>::key_side(const Context& context,
                                                                  const Tensor<Real>& keys) const {
  require_width(name_, "keys", keys, width_);
  const Folded folded = fold(context);
  KeySide out{products<Real>(context, keys, folded.of_keys()),
              Tensor<Real>(context, keys.rows() * units_[0], width_), folded.tail};
  run(context, DinScaleKeys<Real>{.of = values(), .keys = keys, .scaled = out.scaled});
  return out;
}

template <class Real>
Tensor<Real> DinAttention<Real>::weights(const Context& context, const QuerySide& items, const KeySide& keys,
                                         std::int64_t first, std::int64_t count) const {
  const std::int64_t rows = items.query.rows(), units = units_[0];
  const Tensor<Real> products(context, rows, count * units);
  Tensor<Real> out(context, rows, count);
  multiply(context, items.query, transposed(keys.scaled.row_range(first * units, count * units)), products);
  run(context, DinRankWeights<Real>{.products = products,
                                    .of_query = items.hidden,
                                    .of_keys = keys.hidden.row_range(first, count),
                                    .tail = keys.tail.data(),
                                    .weights = out});
  return out;
}

template class DinAttention<float>;
template class DinAttention<double>;

}  // namespace sllmr
