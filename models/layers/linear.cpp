#include "models/layers/linear.h"

#include <cmath>

#include "kernels/exec/gemm.h"
#include "kernels/layers/activation.h"
#include "kernels/layers/linear.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
Linear<Real>::Linear(Parameters<Real>& parameters, const std::string& name, std::int64_t in, std::int64_t out,
                     LinearInitial initial)
    : name_(name), parameters_(&parameters), in_(in), out_(out) {
  const bool xavier = initial == LinearInitial::xavier;
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  weight_ = parameters.add(
      name + ".weight", {out, in},
      xavier ? Initial::normal(std::sqrt(2.0 / static_cast<double>(in + out))) : Initial::uniform(bound));
  bias_ = parameters.add(name + ".bias", {out}, xavier ? Initial::constant(0) : Initial::uniform(bound));
}

template <class Real>
Tensor<Real> Linear<Real>::forward(const Context& context, const Tensor<Real>& x, const Pass&,
                                   Saved* saved) const {
  require_width(name_, "input", x, in_);
  if (saved != nullptr) saved->x = x;
  if (out_ == 1) {
    Tensor<Real> y(context, x.rows(), 1);
    row_products(context, x, parameters_->value(weight_), bias(), y);
    return y;
  }
  Tensor<Real> y = product(context, x);
  apply_epilogue(context, y, Epilogue<Real>{nullptr, bias(), false, {}}, y);
  return y;
}

template <class Real>
Tensor<Real> Linear<Real>::backward(const Context& context, const Saved& saved,
                                    const Tensor<Real>& d_out) const {
  require_shape(name_, "output's gradient", d_out, saved.x.rows(), out_);
  sum_rows(context, d_out, bias_gradient());
  Tensor<Real> d_x(context, saved.x.rows(), in_);
  if (out_ > 1) {
    product_backward(context, saved.x, d_out, d_x, InputGradient::replace);
    return d_x;
  }
  row_products_backward(context, saved.x, parameters_->value(weight_), d_out, d_x,
                        parameters_->gradient(weight_));
  return d_x;
}

template <class Real>
Tensor<Real> Linear<Real>::product(const Context& context, const Tensor<Real>& x) const {
  require_width(name_, "input", x, in_);
  Tensor<Real> y(context, x.rows(), out_);
  gemm(context, Transpose::no, Transpose::yes, x.rows(), out_, in_, Real(1), x.data(), x.stride(),
       parameters_->value(weight_), in_, Real(0), y.data(), out_);
  return y;
}

template <class Real>
void Linear<Real>::product_backward(const Context& context, const Tensor<Real>& x, const Tensor<Real>& d_out,
                                    const Tensor<Real>& d_x, InputGradient mode) const {
  const std::int64_t rows = x.rows();
  require_shape(name_, "output's gradient", d_out, rows, out_);
  require_shape(name_, "input's gradient", d_x, rows, in_);
  gemm(context, Transpose::yes, Transpose::no, out_, in_, rows, Real(1), d_out.data(), d_out.stride(),
       x.data(), x.stride(), Real(0), parameters_->gradient(weight_), in_);
  gemm(context, Transpose::no, Transpose::no, rows, in_, out_, Real(1), d_out.data(), d_out.stride(),
       parameters_->value(weight_), in_, mode == InputGradient::add ? Real(1) : Real(0), d_x.data(),
       d_x.stride());
}

template class Linear<float>;
template class Linear<double>;

}  // namespace sllmr
