#include "models/layers/cross_v2/cross_v2.h"

#include <limits>

#include "kernels/dense/activation.h"
#include "kernels/dense/row_sums.h"
#include "models/layers/cross_v2/kernels.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
CrossNetV2<Real>::CrossNetV2(Parameters<Real>& parameters, const std::string& name, std::int64_t size,
                             int layers)
    : name_(name), size_(size) {
  require_layers(name, layers, std::numeric_limits<int>::max());
  for (int l = 0; l < layers; ++l) {
    layers_.emplace_back(parameters, name + "." + std::to_string(l), size, size, LinearInitial::standard);
  }
}

template <class Real>
Tensor<Real> CrossNetV2<Real>::forward(const Context& context, const Tensor<Real>& x0, const Pass&,
                                       Saved* saved) const {
  require_width(name_, "input", x0, size_);
  if (saved != nullptr) *saved = {};
  Tensor<Real> x = x0;
  for (const Linear<Real>& layer : layers_) {
    const Tensor<Real> u = layer.product(context, x);
    Tensor<Real> next(context, x0.rows(), size_);
    run(context, CrossStep<Real>{.x0 = x0, .x = x, .bias = layer.bias(), .u = u, .out = next});
    if (saved != nullptr) {
      saved->x.push_back(x);
      saved->u.push_back(u);
    }
    x = next;
  }
  return x;
}

template <class Real>
Tensor<Real> CrossNetV2<Real>::backward(const Context& context, const Saved& saved,
                                        const Tensor<Real>& d_out) const {
  const std::int64_t rows = saved.x.front().rows();
  require_shape(name_, "output's gradient", d_out, rows, size_);
  const Tensor<Real> d_u(context, rows, size_), d_x0(context, rows, size_);
  Tensor<Real> d = d_out;
  for (std::size_t l = layers_.size(); l-- > 0;) {
    Tensor<Real> d_x(context, rows, size_);
    run(context, CrossStepBackward<Real>{.x0 = saved.x.front(),
                                         .u = saved.u[l],
                                         .d_out = d,
                                         .d_u = d_u,
                                         .d_x0 = d_x0,
                                         .top = l + 1 == layers_.size(),
                                         .bottom = l == 0,
                                         .d_x = d_x,
                                         .d_bias = layers_[l].bias_gradient()});
    layers_[l].product_backward(context, saved.x[l], d_u, d_x, InputGradient::add);
    d = d_x;
  }
  return d;
}

template <class Real>
Tensor<Real> CrossNetV2<Real>::taps(const Context&, const Tensor<Real>& x0, const Real*) const {
  return x0;
}

template <class Real>
void CrossNetV2<Real>::forward_taps(const Context& context, const CrossTaps<Real>& rows,
                                    const Tensor<Real>& out) const {
  require_shape(name_, "user's taps", rows.user, 1, size_);
  const Tensor<Real> x0(context, rows.items.rows(), size_);
  run(context, Epilogue<Real>{.x = rows.items, .shift = rows.user.data(), .out = x0});
  const auto no_bias = Tensor<Real>::zeros(context, 1, 1);
  run(context, RowProducts<Real>{.x = forward(context, x0, Pass{}, nullptr),
                                 .weight = rows.out_weight,
                                 .bias = no_bias.data(),
                                 .out = out});
}

template class CrossNetV2<float>;
template class CrossNetV2<double>;

}  // namespace sllmr
