#include "models/layers/batch_norm/batch_norm.h"

#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
BatchNorm<Real>::BatchNorm(Parameters<Real>& parameters, const std::string& name, std::int64_t size)
    : name_(name),
      parameters_(&parameters),
      size_(size),
      weight_(parameters.add(name + ".weight", {size}, Initial::constant(1))),
      bias_(parameters.add(name + ".bias", {size}, Initial::constant(0))),
      running_mean_(parameters.add_state(name + ".running_mean", {size}, Initial::constant(0))),
      running_var_(parameters.add_state(name + ".running_var", {size}, Initial::constant(1))) {}

template <class Real>
Tensor<Real> BatchNorm<Real>::forward(const Context& context, const Tensor<Real>& x, const Pass& pass,
                                      Saved* saved) const {
  return normalise(context, x, nullptr, false, {}, pass, saved);
}

template <class Real>
Tensor<Real> BatchNorm<Real>::backward(const Context& context, const Saved& saved,
                                       const Tensor<Real>& d_out) const {
  return backward_relu(context, saved, {}, Real(1), d_out);
}

template <class Real>
Tensor<Real> BatchNorm<Real>::forward_relu(const Context& context, const Tensor<Real>& x, const Real* shift,
                                           const DropoutMask<Real>& dropout, const Pass& pass,
                                           Saved* saved) const {
  return normalise(context, x, shift, true, dropout, pass, saved);
}

template <class Real>
Tensor<Real> BatchNorm<Real>::backward_relu(const Context& context, const Saved& saved, const Tensor<Real>& y,
                                            Real scale, const Tensor<Real>& d_out) const {
  require_shape(name_, "output's gradient", d_out, saved.x.rows(), size_);
  Tensor<Real> d_x(context, saved.x.rows(), size_);
  run(context, BatchNormBackward<Real>{.x = saved.x,
                                       .statistics = saved.statistics,
                                       .relu_out = y,
                                       .dropout_scale = scale,
                                       .d_out = d_out,
                                       .d_x = d_x,
                                       .d_weight = parameters_->gradient(weight_),
                                       .d_bias = parameters_->gradient(bias_)});
  return d_x;
}

template <class Real>
void BatchNorm<Real>::apply_running(const Context& context, const Tensor<Real>& y, const Real* shift,
                                    bool with_shift) const {
  require_width(name_, "input", y, size_);
  const Tensor<Real> statistics(context, BatchNormRows::count, size_);
  run(context, BatchNormRunning<Real>{.norm = view(shift), .statistics = statistics});
  Epilogue<Real> map{.x = y, .scale = Matrix<Real>(statistics).row(BatchNormRows::scale), .out = y};
  if (with_shift) map.shift = Matrix<Real>(statistics).row(BatchNormRows::shift);
  run(context, map);
}

template <class Real>
BatchNormView<Real> BatchNorm<Real>::view(const Real* shift) const {
  return {.weight = parameters_->value(weight_),
          .bias = parameters_->value(bias_),
          .running_mean = parameters_->value(running_mean_),
          .running_var = parameters_->value(running_var_),
          .offset = shift};
}

template <class Real>
Tensor<Real> BatchNorm<Real>::normalise(const Context& context, const Tensor<Real>& x, const Real* shift,
                                        bool relu, const DropoutMask<Real>& dropout, const Pass& pass,
                                        Saved* saved) const {
  require_width(name_, "input", x, size_);
  const BatchNormView<Real> norm = view(shift);
  const Tensor<Real> statistics(context, BatchNormRows::count, size_);
  if (pass.training) {
    if (x.rows() < 2) {
      throw Error("layer '" + name_ + "': batch norm cannot train on a batch of " + std::to_string(x.rows()) +
                  " rows; use a batch size that leaves no single row over");
    }
    run(context, BatchNormStatistics<Real>{.x = x, .norm = norm, .statistics = statistics});
  } else {
    require(saved == nullptr, "batch norm has a backward of training passes only");
    run(context, BatchNormRunning<Real>{.norm = norm, .statistics = statistics});
  }
  Tensor<Real> y(context, x.rows(), size_);
  run(context, Epilogue<Real>{.x = x,
                              .scale = Matrix<Real>(statistics).row(BatchNormRows::scale),
                              .shift = Matrix<Real>(statistics).row(BatchNormRows::shift),
                              .relu = relu,
                              .dropout = dropout,
                              .out = y});
  if (saved != nullptr) *saved = {x, statistics};
  return y;
}

template class BatchNorm<float>;
template class BatchNorm<double>;

}  // namespace sllmr
