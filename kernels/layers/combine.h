// Matrices side by side, and their sum.
#pragma once

#include "kernels/exec/tensor.h"

namespace sllmr {

template <class Real, class OnDevice>
void concatenate_on(OnDevice, const Context& context, const Tensor<Real>& left, const Tensor<Real>& right,
                    const Tensor<Real>& out);
template <class Real, class OnDevice>
void add_to_on(OnDevice, const Context& context, const Tensor<Real>& x, const Tensor<Real>& to);

/// out [rows x left.cols() + right.cols()] = [left, right]. The way back takes no work: Tensor::columns.
template <class Real>
void concatenate(const Context& context, const Tensor<Real>& left, const Tensor<Real>& right,
                 const Tensor<Real>& out) {
  on_device(context, [&](auto device) { concatenate_on(device, context, left, right, out); });
}

/// to += x, of one shape.
template <class Real>
void add_to(const Context& context, const Tensor<Real>& x, const Tensor<Real>& to) {
  on_device(context, [&](auto device) { add_to_on(device, context, x, to); });
}

}  // namespace sllmr
