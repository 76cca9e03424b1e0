#include "models/layers/linear.h"

#include <cmath>

#include "kernels/dense/activation.h"
#include "kernels/dense/row_sums.h"
#include "kernels/exec/gemm.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
Linear<Real>::Linear(Parameters<Real>& parameters, const std::string& name, std::int64_t in, std::int64_t out,
                     LinearInitial initial)
    : name_(name), parameters_(&parameters), in_(in), out_(out) {
  const bool xavier = initial == LinearInitial::xavier;
  const double bound = 1.0 / std::sqrt(static_cast<double>(in)), both = static_cast<double>(in + out);
  weight_ =
      parameters.add(name + ".weight", {out, in},
                     xavier                                     ? Initial::normal(std::sqrt(2.0 / both))
                     : initial == LinearInitial::xavier_uniform ? Initial::uniform(std::sqrt(6.0 / both))
                                                                : Initial::uniform(bound));
  bias_ = parameters.add(name + ".bias", {out}, xavier ? Initial::constant(0) : Initial::uniform(bound));
}

template <class Real>
Tensor<Real> Linear<Real>::forward(const Context& context, const Tensor<Real>& x, const Pass&,
                                   Saved* saved) const {
  require_width(name_, "input", x, in_);
  if (saved != nullptr) saved->x = x;
  if (out_ == 1) {
    Tensor<Real> y(context, x.rows(), 1);
    run(context, RowProducts<Real>{.x = x, .weight = parameters_->value(weight_), .bias = bias(), .out = y});
    return y;
  }
  Tensor<Real> y = product(context, x);
  run(context, Epilogue<Real>{.x = y, .shift = bias(), .out = y});
  return y;
}

template <class Real>
Tensor<Real> Linear<Real>::backward(const Context& context, const Saved& saved,
                                    const Tensor<Real>& d_out) const {
  require_shape(name_, "output's gradient", d_out, saved.x.rows(), out_);
  run(context, SumRows<Real>{.x = d_out, .out = bias_gradient()});
  Tensor<Real> d_x(context, saved.x.rows(), in_);
  if (out_ > 1) {
    product_backward(context, saved.x, d_out, d_x, InputGradient::replace);
    return d_x;
  }
  run(context, RowProductsBackward<Real>{.x = saved.x,
                                         .weight = parameters_->value(weight_),
                                         .d_out = d_out,
                                         .d_x = d_x,
                                         .d_weight = parameters_->gradient(weight_)});
  return d_x;
}

template <class Real>
void Linear<Real>::forward_to(const Context& context, const Tensor<Real>& x, const Tensor<Real>& out) const {
  require_width(name_, "input", x, in_);
  require_shape(name_, "output", out, x.rows(), out_);
  multiply(context, x, transposed(parameters_->matrix(weight_)), out);
  run(context, Epilogue<Real>{.x = out, .shift = bias(), .out = out});
}

template <class Real>
void Linear<Real>::backward_of_frozen(const Context& context, const Tensor<Real>& x,
                                      const Tensor<Real>& d_out) const {
  run(context, SumRows<Real>{.x = d_out, .out = bias_gradient()});
  product_backward(context, x, d_out, {}, InputGradient::none);
}

template <class Real>
Tensor<Real> Linear<Real>::product(const Context& context, const Tensor<Real>& x) const {
  require_width(name_, "input", x, in_);
  return products<Real>(context, x, parameters_->matrix(weight_));
}

template <class Real>
void Linear<Real>::product_backward(const Context& context, const Tensor<Real>& x, const Tensor<Real>& d_out,
                                    const Tensor<Real>& d_x, InputGradient mode) const {
  const std::int64_t rows = x.rows();
  require_shape(name_, "output's gradient", d_out, rows, out_);
  multiply(context, transposed(d_out), x, parameters_->gradient_matrix(weight_));
  if (mode == InputGradient::none) return;
  require_shape(name_, "input's gradient", d_x, rows, in_);
  if (mode == InputGradient::add) {
    multiply_add(context, d_out, parameters_->matrix(weight_), d_x);
  } else {
    multiply(context, d_out, parameters_->matrix(weight_), d_x);
  }
}

template class Linear<float>;
template class Linear<double>;

}  // namespace sllmr
