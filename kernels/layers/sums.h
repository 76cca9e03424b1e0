// Sums of what the parts of a backbone give.
#pragma once

#include <initializer_list>

#include "kernels/exec/tensor.h"

namespace sllmr {

/// Tensors of the same number of rows whose columns are summed.
template <class Real>
struct LogitTerms {
  static constexpr int kMax = 4;

  LogitTerms(std::initializer_list<Tensor<Real>> parts) {
    require(parts.size() <= static_cast<std::size_t>(kMax), "LogitTerms: too many parts");
    int k = 0;
    for (const Tensor<Real>& part : parts) {
      data[k] = part.data();
      stride[k] = part.stride();
      cols[k++] = static_cast<int>(part.cols());
    }
  }

  const Real* data[kMax] = {};
  std::int64_t stride[kMax] = {};
  int cols[kMax] = {};  // 0 where there is no part
};

template <class Real, class OnDevice>
void sum_logits_on(OnDevice, const Context& context, const LogitTerms<Real>& terms, const Real* bias,
                   const Tensor<Real>& out);
template <class Real, class OnDevice>
void add_relu_on(OnDevice, const Context& context, const Tensor<Real>& a, const Tensor<Real>& b,
                 const Tensor<Real>& out);

/// out [n x 1] = the sum of all columns of all terms [n x ...], + bias[0] unless bias is null.
template <class Real>
void sum_logits(const Context& context, const LogitTerms<Real>& terms, const Real* bias,
                const Tensor<Real>& out) {
  on_device(context, [&](auto device) { sum_logits_on(device, context, terms, bias, out); });
}

/// out = relu(a + b); out may be a or b. NaN stays NaN.
template <class Real>
void add_relu(const Context& context, const Tensor<Real>& a, const Tensor<Real>& b, const Tensor<Real>& out) {
  on_device(context, [&](auto device) { add_relu_on(device, context, a, b, out); });
}

}  // namespace sllmr
