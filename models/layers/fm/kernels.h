// Products of all pairs of fields: the second-order term of factorisation machines (Rendle, ICDM 2010).
#pragma once

#include "kernels/exec/tensor.h"

namespace sllmr {

template <class Real, class OnDevice>
void fm_forward_on(OnDevice, const Context& context, const Tensor<Real>& x, int fields,
                   const Tensor<Real>& out);
template <class Real, class OnDevice>
void fm_backward_on(OnDevice, const Context& context, const Tensor<Real>& x, int fields,
                    const Tensor<Real>& d_out, const Tensor<Real>& d_x, bool accumulate);

/// out [n x 1] = sum over f < g of <x_f, x_g>; x [n x fields * width], one field's vector after the other.
template <class Real>
void fm_forward(const Context& context, const Tensor<Real>& x, int fields, const Tensor<Real>& out) {
  on_device(context, [&](auto device) { fm_forward_on(device, context, x, fields, out); });
}

/// d_x_f = d_out * sum over g != f of x_g, added to d_x with `accumulate`.
template <class Real>
void fm_backward(const Context& context, const Tensor<Real>& x, int fields, const Tensor<Real>& d_out,
                 const Tensor<Real>& d_x, bool accumulate) {
  on_device(context,
            [&](auto device) { fm_backward_on(device, context, x, fields, d_out, d_x, accumulate); });
}

}  // namespace sllmr
