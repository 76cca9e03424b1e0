#include "models/layers/mlp.h"

#include <utility>

#include "kernels/dense/activation.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
Mlp<Real>::Mlp(Parameters<Real>& parameters, const std::string& name, std::int64_t in,
               const MlpOptions& options)
    : dropout_at_(options.dropout_at) {
  require(!options.hidden.empty(), "layer '" + name + "' has no hidden layers; give it at least one size");
  for (const int size : options.hidden) {
    const std::string of_block = name + "." + std::to_string(blocks_.size());
    const auto first_part = static_cast<int>(parameters.parts().size());
    Block block{Dropout<Real>(of_block, options.dropout, first_part),
                Linear<Real>(parameters, of_block, in, size, options.initial), std::nullopt};
    if (options.batch_norm) block.norm.emplace(parameters, of_block + ".norm", size);
    blocks_.push_back(std::move(block));
    in = size;
  }
}

template <class Real>
DropoutMask<Real> Mlp<Real>::mask_after(std::size_t l, const Pass& pass) const {
  if (dropout_at_ == MlpOptions::DropoutAt::output) return blocks_[l].dropout.mask(pass);
  return l + 1 < blocks_.size() ? blocks_[l + 1].dropout.mask(pass) : DropoutMask<Real>();
}

template <class Real>
Tensor<Real> Mlp<Real>::forward(const Context& context, const Tensor<Real>& x, const Pass& pass,
                                Saved* saved) const {
  if (saved != nullptr) *saved = {};
  Tensor<Real> at = x;
  if (dropout_at_ == MlpOptions::DropoutAt::input) {
    at = blocks_[0].dropout.forward(context, x, pass, saved == nullptr ? nullptr : &saved->dropped);
  }
  for (std::size_t l = 0; l < blocks_.size(); ++l) at = block(context, l, at, pass, saved);
  if (saved != nullptr) saved->x.push_back(at);
  return at;
}

template <class Real>
Tensor<Real> Mlp<Real>::block(const Context& context, std::size_t l, const Tensor<Real>& x, const Pass& pass,
                              Saved* saved) const {
  const Linear<Real>& linear = blocks_[l].linear;
  const DropoutMask<Real> mask = mask_after(l, pass);
  Tensor<Real> y = linear.product(context, x);
  if (saved != nullptr) {
    saved->x.push_back(x);
    saved->scales.push_back(mask.scale);
  }
  const auto& norm = blocks_[l].norm;
  if (!norm) {
    run(context, Epilogue<Real>{.x = y, .shift = linear.bias(), .relu = true, .dropout = mask, .out = y});
    return y;
  }
  typename BatchNorm<Real>::Saved of_norm;
  y = norm->forward_relu(context, y, linear.bias(), mask, pass, saved == nullptr ? nullptr : &of_norm);
  if (saved != nullptr) saved->norms.push_back(std::move(of_norm));
  return y;
}

template <class Real>
Tensor<Real> Mlp<Real>::first_sums(const Context& context, const Tensor<Real>& x) const {
  return first_sums(context, x, false);
}

template <class Real>
Tensor<Real> Mlp<Real>::first_sums_and_biases(const Context& context, const Tensor<Real>& x) const {
  return first_sums(context, x, true);
}

template <class Real>
Tensor<Real> Mlp<Real>::first_sums(const Context& context, const Tensor<Real>& x, bool with_biases) const {
  const Linear<Real>& linear = blocks_[0].linear;
  Tensor<Real> y = linear.product(context, x);
  if (const auto& norm = blocks_[0].norm) {
    norm->apply_running(context, y, with_biases ? linear.bias() : nullptr, with_biases);
  } else if (with_biases) {
    run(context, Epilogue<Real>{.x = y, .shift = linear.bias(), .out = y});
  }
  return y;
}

template <class Real>
Tensor<Real> Mlp<Real>::forward_sums(const Context& context, const Tensor<Real>& user,
                                     const Tensor<Real>& items) const {
  const std::int64_t size = blocks_[0].linear.out();
  require_shape(blocks_[0].linear.name(), "user's part", user, 1, size);
  require_width(blocks_[0].linear.name(), "items' part", items, size);
  Tensor<Real> at(context, items.rows(), size);
  run(context, Epilogue<Real>{.x = items, .shift = user.data(), .relu = true, .out = at});
  for (std::size_t l = 1; l < blocks_.size(); ++l) at = block(context, l, at, Pass{}, nullptr);
  return at;
}

template <class Real>
Tensor<Real> Mlp<Real>::backward(const Context& context, const Saved& saved,
                                 const Tensor<Real>& d_out) const {
  return blocks_[0].dropout.backward(context, saved.dropped,
                                     backward(context, saved, d_out, InputGradient::replace));
}

template <class Real>
void Mlp<Real>::backward_of_frozen(const Context& context, const Saved& saved,
                                   const Tensor<Real>& d_out) const {
  backward(context, saved, d_out, InputGradient::none);
}

template <class Real>
Tensor<Real> Mlp<Real>::backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out,
                                 InputGradient mode) const {
  require_shape(blocks_.back().linear.name(), "output's gradient", d_out, saved.x.back().rows(), out());
  Tensor<Real> d = d_out;
  for (std::size_t l = blocks_.size(); l-- > 0;) {
    const Linear<Real>& linear = blocks_[l].linear;
    const Tensor<Real>& y = saved.x[l + 1];
    if (const auto& norm = blocks_[l].norm) {
      d = norm->backward_relu(context, saved.norms[l], y, saved.scales[l], d);
      fill_zero(context, linear.bias_gradient(), linear.out() * sizeof(Real));
    } else {
      Tensor<Real> d_product(context, y.rows(), y.cols());
      run(context, ReluBackward<Real>{.d_out = d,
                                      .out = y,
                                      .scale = saved.scales[l],
                                      .d_x = d_product,
                                      .d_bias = linear.bias_gradient()});
      d = d_product;
    }
    const bool wanted = l > 0 || mode != InputGradient::none;
    const Tensor<Real> d_x = wanted ? Tensor<Real>(context, d.rows(), linear.in()) : Tensor<Real>();
    linear.product_backward(context, saved.x[l], d, d_x,
                            wanted ? InputGradient::replace : InputGradient::none);
    d = d_x;
  }
  return d;
}

template class Mlp<float>;
template class Mlp<double>;

}  // namespace sllmr
