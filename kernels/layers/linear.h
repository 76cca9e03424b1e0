// The parts of a linear layer that are no matrix product: sums over rows, and the layer of a single output.
#pragma once

#include "kernels/exec/tensor.h"

namespace sllmr {

template <class Real, class OnDevice>
void sum_rows_on(OnDevice, const Context& context, const Tensor<Real>& x, Real* out);
template <class Real, class OnDevice>
void row_products_on(OnDevice, const Context& context, const Tensor<Real>& x, const Real* weight,
                     const Real* bias, const Tensor<Real>& out);
template <class Real, class OnDevice>
void row_products_backward_on(OnDevice, const Context& context, const Tensor<Real>& x, const Real* weight,
                              const Tensor<Real>& d_out, const Tensor<Real>& d_x, Real* d_weight);

/// out [cols] = the sum of the rows of x [rows x cols].
template <class Real>
void sum_rows(const Context& context, const Tensor<Real>& x, Real* out) {
  on_device(context, [&](auto device) { sum_rows_on(device, context, x, out); });
}

/// out [rows x 1] = x [rows x cols] . weight [cols] + bias[0].
template <class Real>
void row_products(const Context& context, const Tensor<Real>& x, const Real* weight, const Real* bias,
                  const Tensor<Real>& out) {
  on_device(context, [&](auto device) { row_products_on(device, context, x, weight, bias, out); });
}

/// d_x [rows x cols] = d_out [rows x 1] * weight, d_weight [cols] = sum over rows of d_out * x, in one pass.
template <class Real>
void row_products_backward(const Context& context, const Tensor<Real>& x, const Real* weight,
                           const Tensor<Real>& d_out, const Tensor<Real>& d_x, Real* d_weight) {
  on_device(context,
            [&](auto device) { row_products_backward_on(device, context, x, weight, d_out, d_x, d_weight); });
}

}  // namespace sllmr
