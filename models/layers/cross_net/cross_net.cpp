#include "models/layers/cross_net/cross_net.h"

#include "kernels/dense/row_sums.h"
#include "kernels/exec/gemm.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
CrossNet<Real>::CrossNet(Parameters<Real>& parameters, const std::string& name, std::int64_t size, int layers)
    : name_(name), parameters_(&parameters), size_(size) {
  require_layers(name, layers, CrossVectors<Real>::kMaxLayers);
  for (int l = 0; l < layers; ++l) {
    const std::string of_layer = name + "." + std::to_string(l);
    weights_.push_back(parameters.add(of_layer + ".weight", {size}, Initial::normal(1)));
    biases_.push_back(parameters.add(of_layer + ".bias", {size}, Initial::constant(0)));
  }
}

template <class Real>
CrossVectors<Real> CrossNet<Real>::view() const {
  CrossVectors<Real> net;
  net.layers = static_cast<int>(weights_.size());
  for (std::size_t l = 0; l < weights_.size(); ++l) {
    net.weight[l] = parameters_->value(weights_[l]);
    net.bias[l] = parameters_->value(biases_[l]);
    net.d_weight[l] = parameters_->gradient(weights_[l]);
    net.d_bias[l] = parameters_->gradient(biases_[l]);
  }
  return net;
}

template <class Real>
Tensor<Real> CrossNet<Real>::forward(const Context& context, const Tensor<Real>& x0, const Pass&,
                                     Saved* saved) const {
  require_width(name_, "input", x0, size_);
  const auto layers = static_cast<std::int64_t>(weights_.size());
  const Tensor<Real> betas(context, layers + 1, size_ + 1), products(context, x0.rows(), 2 * layers);
  Tensor<Real> out(context, x0.rows(), size_);
  run(context, CrossForward<Real>{.net = view(), .x0 = x0, .betas = betas, .products = products, .out = out});
  if (saved != nullptr) *saved = {x0, betas, products};
  return out;
}

template <class Real>
Tensor<Real> CrossNet<Real>::backward(const Context& context, const Saved& saved,
                                      const Tensor<Real>& d_out) const {
  const std::int64_t rows = saved.x0.rows(), layers = saved.products.cols() / 2;
  require_shape(name_, "output's gradient", d_out, rows, size_);
  Tensor<Real> d_x0(context, rows, size_);
  const Tensor<Real> factors(context, rows, 2 * layers), sums(context, layers + 1, size_),
      d_products(context, 1, layers);
  const CrossVectors<Real> net = view();
  run(context, CrossRowsBackward<Real>{.net = net,
                                       .x0 = saved.x0,
                                       .products = saved.products,
                                       .d_out = d_out,
                                       .d_x0 = d_x0,
                                       .factors = factors});
  multiply(context, transposed(factors.columns(0, layers)), saved.x0, sums.row_range(0, layers));
  run(context, SumRows<Real>{.x = d_out, .out = sums.data() + layers * size_});
  run(context, SumRows<Real>{.x = factors.columns(layers, layers), .out = d_products.data()});
  run(context, CrossParametersBackward<Real>{
                   .net = net, .betas = saved.betas, .sums = sums, .d_products = d_products.data()});
  return d_x0;
}

template <class Real>
Tensor<Real> CrossNet<Real>::taps(const Context& context, const Tensor<Real>& x0,
                                  const Real* out_weight) const {
  require_width(name_, "input", x0, size_);
  const auto layers = static_cast<std::int64_t>(weights_.size());
  const std::size_t bytes = static_cast<std::size_t>(size_) * sizeof(Real);
  const Tensor<Real> weights(context, layers + 1, size_);
  for (std::int64_t l = 0; l < layers; ++l) {
    copy_on_device(context, weights.data() + l * size_,
                   parameters_->value(weights_[static_cast<std::size_t>(l)]), bytes);
  }
  copy_on_device(context, weights.data() + layers * size_, out_weight, bytes);
  return products<Real>(context, x0, weights);
}

template <class Real>
void CrossNet<Real>::forward_taps(const Context& context, const CrossTaps<Real>& rows,
                                  const Tensor<Real>& out) const {
  const auto layers = static_cast<std::int64_t>(weights_.size());
  require_shape(name_, "user's taps", rows.user, 1, layers + 1);
  require_width(name_, "items' taps", rows.items, layers + 1);
  const Tensor<Real> constants(context, 1, layers + 1);
  run(context,
      CrossTapConstants<Real>{
          .net = view(), .cols = size_, .out_weight = rows.out_weight, .constants = constants.data()});
  run(context, CrossOfTaps<Real>{
                   .user = rows.user.data(), .items = rows.items, .constants = constants.data(), .out = out});
}

template class CrossNet<float>;
template class CrossNet<double>;

}  // namespace sllmr
