// Affine map of rows.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/exec/tensor.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// How weights start. standard: weight and bias U(+-1 / sqrt(in)), as PyTorch's nn.Linear; xavier: weight
/// N(0, 2 / (in + out)) (variance), bias 0; xavier_uniform: weight U(+-sqrt(6 / (in + out))), bias as
/// standard.
enum class LinearInitial { standard, xavier, xavier_uniform };

/// y = x W^T + b, with x [rows x in], W {out, in} ("<name>.weight"), b {out} ("<name>.bias").
template <class Real>
class Linear {
 public:
  /// What forward keeps for backward.
  struct Saved {
    Tensor<Real> x;
  };

  /// Throws Error for a size below 1.
  Linear(Parameters<Real>& parameters, const std::string& name, std::int64_t in, std::int64_t out,
         LinearInitial initial);

  const std::string& name() const { return name_; }
  std::int64_t in() const { return in_; }
  std::int64_t out() const { return out_; }

  /// [rows x out]. `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass& pass, Saved* saved) const;
  /// The same to `out`, which may be a slice of columns; keeps nothing.
  void forward_to(const Context& context, const Tensor<Real>& x, const Tensor<Real>& out) const;
  /// Gradients of the parameters; returns that of x from d_out [rows x out].
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

  /// The same where x is frozen: no gradient of it.
  void backward_of_frozen(const Context& context, const Tensor<Real>& x, const Tensor<Real>& d_out) const;

  /// For layers that join the bias to what follows: x W^T alone,
  Tensor<Real> product(const Context& context, const Tensor<Real>& x) const;
  /// its backward, which leaves the bias's gradient alone (d_x is not read with InputGradient::none),
  void product_backward(const Context& context, const Tensor<Real>& x, const Tensor<Real>& d_out,
                        const Tensor<Real>& d_x, InputGradient mode) const;
  /// and the parameters themselves.
  const Real* weight() const { return parameters_->value(weight_); }
  const Real* bias() const { return parameters_->value(bias_); }
  Real* bias_gradient() const { return parameters_->gradient(bias_); }

 private:
  std::string name_;
  const Parameters<Real>* parameters_;
  std::int64_t in_, out_;
  int weight_, bias_;
};

extern template class Linear<float>;
extern template class Linear<double>;

}  // namespace sllmr
