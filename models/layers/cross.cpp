#include "models/layers/cross.h"

#include "kernels/exec/gemm.h"
#include "kernels/layers/linear.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
CrossNet<Real>::CrossNet(Parameters<Real>& parameters, const std::string& name, std::int64_t size, int layers)
    : name_(name), parameters_(&parameters), size_(size) {
  require_layers(name, layers, CrossVectors<Real>::kMaxLayers);
  for (int l = 0; l < layers; ++l) {
    const std::string of_layer = name + "." + std::to_string(l);
    const int weight = parameters.add(of_layer + ".weight", {size}, Initial::normal(1));
    layers_.push_back({weight, parameters.add(of_layer + ".bias", {size}, Initial::constant(0))});
  }
}

template <class Real>
CrossVectors<Real> CrossNet<Real>::view() const {
  CrossVectors<Real> net;
  for (const Layer& layer : layers_) {
    net.weight[net.layers] = parameters_->value(layer.weight);
    net.bias[net.layers] = parameters_->value(layer.bias);
    net.d_weight[net.layers] = parameters_->gradient(layer.weight);
    net.d_bias[net.layers] = parameters_->gradient(layer.bias);
    ++net.layers;
  }
  return net;
}

template <class Real>
Tensor<Real> CrossNet<Real>::forward(const Context& context, const Tensor<Real>& x0, const Pass&,
                                     Saved* saved) const {
  require_width(name_, "input", x0, size_);
  const auto layers = static_cast<std::int64_t>(layers_.size());
  const Tensor<Real> betas(context, layers + 1, size_ + 1), products(context, x0.rows(), 2 * layers);
  Tensor<Real> out(context, x0.rows(), size_);
  cross_vectors(context, x0, view(), betas, products, out);
  if (saved != nullptr) *saved = {x0, betas, products};
  return out;
}

template <class Real>
Tensor<Real> CrossNet<Real>::backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out,
                                      GradientMode mode) const {
  const std::int64_t rows = saved.x0.rows(), layers = saved.products.cols() / 2;
  require_shape(name_, "output's gradient", d_out, rows, size_);
  Tensor<Real> d_x0(context, rows, size_);
  const Tensor<Real> factors(context, rows, 2 * layers), sums(context, layers + 1, size_),
      d_products(context, 1, layers);
  const CrossVectors<Real> net = view();
  cross_vectors_rows_backward(context, saved.x0, net, saved.products, d_out, d_x0, factors);
  gemm(context, Transpose::yes, Transpose::no, layers, size_, rows, Real(1), factors.data(), factors.stride(),
       saved.x0.data(), saved.x0.stride(), Real(0), sums.data(), sums.stride());
  sum_rows(context, d_out, sums.data() + layers * size_, false);
  sum_rows(context, factors.columns(layers, layers), d_products.data(), false);
  cross_vectors_parameters_backward(context, net, saved.betas, sums, d_products,
                                    mode == GradientMode::accumulate);
  return d_x0;
}

template class CrossNet<float>;
template class CrossNet<double>;

}  // namespace sllmr
