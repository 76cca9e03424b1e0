// Batch normalisation of columns (Ioffe and Szegedy, 2015), as PyTorch's BatchNorm1d.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/dense/activation.h"
#include "models/layers/batch_norm/kernels.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// y = weight * (x - mean) / sqrt(variance + 1e-5) + bias. A training pass takes mean and (biased) variance
/// from the batch and moves the running ones by a tenth towards the batch's (the variance's unbiased); any
/// other pass takes the running ones, and has no backward. Parameters "<name>.weight" = 1 and
/// "<name>.bias" = 0, state "<name>.running_mean" = 0 and "<name>.running_var" = 1, all {size}.
template <class Real>
class BatchNorm {
 public:
  /// What forward keeps for backward.
  struct Saved {
    Tensor<Real> x, statistics;
  };

  BatchNorm(Parameters<Real>& parameters, const std::string& name, std::int64_t size);

  /// Throws Error for a training pass over a single row, and for any other pass that is to be saved.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass& pass, Saved* saved) const;
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

  /// y = dropout(relu(norm(x + shift))), shift [size] the bias of the linear layer below. The batch's mean
  /// takes it away again, so it only reaches the running mean, and its gradient is zero.
  Tensor<Real> forward_relu(const Context& context, const Tensor<Real>& x, const Real* shift,
                            const DropoutMask<Real>& dropout, const Pass& pass, Saved* saved) const;
  /// Its backward: `y` is forward_relu's result and `scale` that of its dropout.
  Tensor<Real> backward_relu(const Context& context, const Saved& saved, const Tensor<Real>& y, Real scale,
                             const Tensor<Real>& d_out) const;

  /// y = norm(y + shift), in place, with the running mean and variance; not `with_shift`: its linear part
  /// alone, y * weight / sqrt(variance + 1e-5).
  void apply_running(const Context& context, const Tensor<Real>& y, const Real* shift, bool with_shift) const;

 private:
  BatchNormView<Real> view(const Real* shift) const;
  Tensor<Real> normalise(const Context& context, const Tensor<Real>& x, const Real* shift, bool relu,
                         const DropoutMask<Real>& dropout, const Pass& pass, Saved* saved) const;

  std::string name_;
  const Parameters<Real>* parameters_;
  std::int64_t size_;
  int weight_, bias_, running_mean_, running_var_;
};

extern template class BatchNorm<float>;
extern template class BatchNorm<double>;

}  // namespace sllmr
