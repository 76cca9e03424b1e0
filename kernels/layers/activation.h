// What follows the matrix product of a layer, in one pass: scale, bias, ReLU, dropout; and the way back.
#pragma once

#include "kernels/layers/dropout.h"

namespace sllmr {

/// y = dropout(relu(x * scale + shift)), each part optional.
template <class Real>
struct Epilogue {
  const Real* scale = nullptr;  // [cols]; null: 1
  const Real* shift = nullptr;  // [cols]; null: 0
  bool relu = false;            // NaN stays NaN
  DropoutMask<Real> dropout;
};

template <class Real, class OnDevice>
void apply_epilogue_on(OnDevice, const Context& context, const Tensor<Real>& x,
                       const Epilogue<Real>& epilogue, const Tensor<Real>& out);
template <class Real, class OnDevice>
void relu_backward_on(OnDevice, const Context& context, const Tensor<Real>& d_out, const Tensor<Real>& out,
                      Real scale, const Tensor<Real>& d_x, Real* d_bias);

/// out [rows x cols] may be x itself.
template <class Real>
void apply_epilogue(const Context& context, const Tensor<Real>& x, const Epilogue<Real>& epilogue,
                    const Tensor<Real>& out) {
  on_device(context, [&](auto device) { apply_epilogue_on(device, context, x, epilogue, out); });
}

/// The way back through dropout and ReLU: d_x = d_out * scale where out > 0, else 0. An element that dropout
/// or the ReLU made zero has no gradient either way, so no mask is needed; `scale` is the dropout's. d_x may
/// be d_out. d_bias [cols] gets the sums over the rows.
template <class Real>
void relu_backward(const Context& context, const Tensor<Real>& d_out, const Tensor<Real>& out, Real scale,
                   const Tensor<Real>& d_x, Real* d_bias) {
  on_device(context, [&](auto device) { relu_backward_on(device, context, d_out, out, scale, d_x, d_bias); });
}

}  // namespace sllmr
