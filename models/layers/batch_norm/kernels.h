// Batch normalisation of columns: statistics, and the way back through them.
#pragma once

#include <cstdint>

#include "kernels/exec/tensor.h"

namespace sllmr {

/// What a batch norm owns, [cols] each. `offset` (null: 0) belongs to the columns' values without being in x:
/// the bias of the layer below.
template <class Real>
struct BatchNormView {
  static constexpr Real kEpsilon = Real(1e-5);  // added to the variance
  static constexpr Real kMomentum = Real(0.1);  // of the running statistics
  const Real* weight = nullptr;
  const Real* bias = nullptr;
  Real* running_mean = nullptr;
  Real* running_var = nullptr;
  const Real* offset = nullptr;
};

/// Rows of the statistics [count x cols]: the batch's mean without the offset, 1 / sqrt(variance + epsilon),
/// and the map that both come to, y = x * scale + shift.
struct BatchNormRows {
  static constexpr int mean = 0, inverse = 1, scale = 2, shift = 3, count = 4;
};

template <class Real, class OnDevice>
void batch_norm_statistics_on(OnDevice, const Context& context, const Tensor<Real>& x,
                              const BatchNormView<Real>& norm, const Tensor<Real>& statistics);
template <class Real, class OnDevice>
void batch_norm_running_on(OnDevice, const Context& context, const BatchNormView<Real>& norm,
                           const Tensor<Real>& statistics);
template <class Real, class OnDevice>
void batch_norm_backward_on(OnDevice, const Context& context, const Tensor<Real>& x,
                            const Tensor<Real>& statistics, const Tensor<Real>& relu_out, Real dropout_scale,
                            const Tensor<Real>& d_out, const Tensor<Real>& d_x, Real* d_weight, Real* d_bias);

/// Statistics of x [rows x cols], rows >= 2, and the step of the running ones. Deviations are taken from the
/// mean of their chunk of rows and chunks merged by Chan's formula, so large means cancel nothing.
template <class Real>
void batch_norm_statistics(const Context& context, const Tensor<Real>& x, const BatchNormView<Real>& norm,
                           const Tensor<Real>& statistics) {
  on_device(context, [&](auto device) { batch_norm_statistics_on(device, context, x, norm, statistics); });
}

/// Statistics from the running ones.
template <class Real>
void batch_norm_running(const Context& context, const BatchNormView<Real>& norm,
                        const Tensor<Real>& statistics) {
  on_device(context, [&](auto device) { batch_norm_running_on(device, context, norm, statistics); });
}

/// d_x, which may be d_out, and the gradients of weight and bias, given batch_norm_statistics' result. Where
/// a ReLU and dropout followed, `relu_out` is their result and `dropout_scale` the dropout's; else it is
/// empty.
template <class Real>
void batch_norm_backward(const Context& context, const Tensor<Real>& x, const Tensor<Real>& statistics,
                         const Tensor<Real>& relu_out, Real dropout_scale, const Tensor<Real>& d_out,
                         const Tensor<Real>& d_x, Real* d_weight, Real* d_bias) {
  on_device(context, [&](auto device) {
    batch_norm_backward_on(device, context, x, statistics, relu_out, dropout_scale, d_out, d_x, d_weight,
                           d_bias);
  });
}

}  // namespace sllmr
