#include "models/layers/cross_mix/cross_mix.h"

#include <cmath>

#include "kernels/dense/row_sums.h"
#include "kernels/exec/gemm.h"
#include "models/layers/cross_v2/kernels.h"
#include "models/layers/shapes.h"

namespace sllmr {

namespace {

/// Of the packed rows: V_0^T .. V_{K-1}^T and the gate of one layer,
template <class Real>
Tensor<Real> reading_rows(const CrossExperts<Real>& net, const Tensor<Real>& packed, int layer) {
  return packed.row_range(layer * std::int64_t{net.packed_rows()}, net.width() + net.experts);
}
/// and its U_0^T .. U_{K-1}^T.
template <class Real>
Tensor<Real> writing_rows(const CrossExperts<Real>& net, const Tensor<Real>& packed, int layer) {
  return packed.row_range((layer + 1) * std::int64_t{net.packed_rows()} - net.width(), net.width());
}

}  // namespace

template <class Real>
CrossNetMix<Real>::CrossNetMix(Parameters<Real>& parameters, const std::string& name, const std::string& gate,
                               std::int64_t size, const CrossMixOptions& options)
    : name_(name), parameters_(&parameters), size_(size), options_(options) {
  require_layers(name, options.layers, CrossExperts<Real>::kMaxLayers);
  const std::int64_t experts = options.experts, rank = options.rank;
  for (int l = 0; l < options.layers; ++l) {
    const std::string of_layer = name + "." + std::to_string(l);
    Layer layer{};
    layer.u = parameters.add(of_layer + ".u", {experts, size, rank}, Initial::normal(1));
    layer.v = parameters.add(of_layer + ".v", {experts, size, rank}, Initial::normal(1));
    layer.c = parameters.add(of_layer + ".c", {experts, rank, rank}, Initial::normal(1));
    layer.bias = parameters.add(of_layer + ".bias", {size}, Initial::constant(0));
    layers_.push_back(layer);
  }
  const Initial initial = Initial::uniform(1 / std::sqrt(static_cast<double>(size)));
  gate_weight_ = parameters.add(gate + ".weight", {experts, size}, initial);
  gate_bias_ = parameters.add(gate + ".bias", {experts}, initial);
}

template <class Real>
CrossExperts<Real> CrossNetMix<Real>::view() const {
  CrossExperts<Real> net;
  for (const Layer& layer : layers_) {
    const int l = net.layers++;
    net.u[l] = parameters_->value(layer.u);
    net.v[l] = parameters_->value(layer.v);
    net.c[l] = parameters_->value(layer.c);
    net.bias[l] = parameters_->value(layer.bias);
    net.d_u[l] = parameters_->gradient(layer.u);
    net.d_v[l] = parameters_->gradient(layer.v);
    net.d_c[l] = parameters_->gradient(layer.c);
  }
  net.experts = options_.experts;
  net.rank = options_.rank;
  net.cols = size_;
  net.gate_weight = parameters_->value(gate_weight_);
  net.gate_bias = parameters_->value(gate_bias_);
  net.d_gate_weight = parameters_->gradient(gate_weight_);
  return net;
}

template <class Real>
Tensor<Real> CrossNetMix<Real>::forward(const Context& context, const Tensor<Real>& x0, const Pass&,
                                        Saved* saved) const {
  require_width(name_, "input", x0, size_);
  const CrossExperts<Real> net = view();
  const std::int64_t rows = x0.rows(), width = net.width(), inner_width = width + net.experts;
  const Tensor<Real> packed(context, net.layers * net.packed_rows(), size_);
  run(context, PackExperts<Real>{.net = net, .packed = packed});
  if (saved != nullptr) *saved = {packed, {}};
  Tensor<Real> x = x0;
  for (int l = 0; l < net.layers; ++l) {
    const Tensor<Real> inner(context, rows, inner_width), core(context, rows, width),
        mixed(context, rows, width), u(context, rows, size_);
    multiply(context, x, transposed(reading_rows(net, packed, l)), inner);
    run(context, MixExperts<Real>{.net = net, .layer = l, .inner = inner, .core = core, .mixed = mixed});
    multiply(context, mixed, writing_rows(net, packed, l), u);
    Tensor<Real> next(context, rows, size_);
    run(context, CrossStep<Real>{.x0 = x0,
                                 .x = x,
                                 .bias = parameters_->value(layers_[static_cast<std::size_t>(l)].bias),
                                 .u = u,
                                 .out = next});
    if (saved != nullptr) saved->layers.push_back({x, inner, core, mixed, u});
    x = next;
  }
  return x;
}

template <class Real>
Tensor<Real> CrossNetMix<Real>::backward(const Context& context, const Saved& saved,
                                         const Tensor<Real>& d_out) const {
  const CrossExperts<Real> net = view();
  const Tensor<Real>& x0 = saved.layers.front().x;
  const std::int64_t rows = x0.rows(), width = net.width(), inner_width = width + net.experts;
  require_shape(name_, "output's gradient", d_out, rows, size_);
  const Tensor<Real> d_u(context, rows, size_), d_x0(context, rows, size_), d_mixed(context, rows, width),
      d_inner(context, rows, inner_width), d_packed(context, saved.packed.rows(), size_),
      d_cores(context, net.layers * width, width),
      d_gate(context, net.layers, net.experts);  // the top layer first
  Tensor<Real> d = d_out;
  for (int l = net.layers - 1; l >= 0; --l) {
    const auto& layer = saved.layers[static_cast<std::size_t>(l)];
    const bool top = l + 1 == net.layers;
    Tensor<Real> d_x(context, rows, size_);
    run(context,
        CrossStepBackward<Real>{.x0 = x0,
                                .u = layer.u,
                                .d_out = d,
                                .d_u = d_u,
                                .d_x0 = d_x0,
                                .top = top,
                                .bottom = l == 0,
                                .d_x = d_x,
                                .d_bias = parameters_->gradient(layers_[static_cast<std::size_t>(l)].bias)});
    multiply(context, d_u, transposed(writing_rows(net, saved.packed, l)), d_mixed);
    multiply(context, transposed(layer.mixed), d_u, writing_rows(net, d_packed, l));
    run(context, MixExpertsBackward<Real>{.net = net,
                                          .layer = l,
                                          .inner = layer.inner,
                                          .core = layer.core,
                                          .d_mixed = d_mixed,
                                          .d_inner = d_inner});
    multiply(context, transposed(d_mixed), layer.inner.columns(0, width),
             d_cores.row_range(l * width, width));
    multiply(context, transposed(d_inner), layer.x, reading_rows(net, d_packed, l));
    multiply_add(context, d_inner, reading_rows(net, saved.packed, l), d_x);
    run(context, SumRows<Real>{.x = d_inner.columns(width, net.experts),
                               .out = d_gate.row_range(net.layers - 1 - l, 1).data()});
    d = d_x;
  }
  run(context, UnpackExperts<Real>{.net = net, .d_packed = d_packed, .d_cores = d_cores});
  run(context, SumRows<Real>{.x = d_gate, .out = parameters_->gradient(gate_bias_)});
  return d;
}

template <class Real>
Tensor<Real> CrossNetMix<Real>::taps(const Context& context, const Tensor<Real>& x0,
                                     const Real* out_weight) const {
  require_width(name_, "input", x0, size_);
  const CrossExperts<Real> net = view();
  const Tensor<Real> packed(context, net.layers * net.packed_rows(), size_),
      weights(context, net.taps(), size_);
  run(context, PackExperts<Real>{.net = net, .packed = packed});
  run(context, ExpertTaps<Real>{.net = net, .packed = packed, .out_weight = out_weight, .weights = weights});
  return products<Real>(context, x0, weights);
}

template <class Real>
void CrossNetMix<Real>::forward_taps(const Context& context, const CrossTaps<Real>& taps,
                                     const Tensor<Real>& out) const {
  const CrossExperts<Real> net = view();
  require_shape(name_, "user's taps", taps.user, 1, net.taps());
  require_width(name_, "items' taps", taps.items, net.taps());
  const std::int64_t rows = taps.items.rows(), width = net.width();
  const Tensor<Real> inner(context, rows, width + net.experts), core(context, rows, width),
      mixed(context, rows, net.layers * width);
  const auto apply = [&](int layer, const Tensor<Real>& to) {
    run(context, ApplyTaps<Real>{.net = net,
                                 .layer = layer,
                                 .user = taps.user.data(),
                                 .items = taps.items,
                                 .mixed = mixed,
                                 .out = to});
  };
  for (int l = 0; l < net.layers; ++l) {
    apply(l, inner);
    run(context,
        MixExperts<Real>{
            .net = net, .layer = l, .inner = inner, .core = core, .mixed = mixed.columns(l * width, width)});
  }
  apply(net.layers, out);
}

template class CrossNetMix<float>;
template class CrossNetMix<double>;

}  // namespace sllmr
