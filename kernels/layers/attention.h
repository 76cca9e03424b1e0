// Scaled dot-product attention over the fields of a row, all heads at once (Vaswani et al., NeurIPS 2017).
#pragma once

#include "kernels/layers/dropout.h"

namespace sllmr {

/// The shapes. Each row has `fields` tokens, consecutive rows of qkv; a token's queries, keys and values
/// stand one beside the other, `heads` * `head_width` columns each.
struct AttentionShape {
  std::int64_t rows = 0;
  int fields = 0, heads = 0, head_width = 0;

  SLLMR_HD int width() const { return heads * head_width; }
};

template <class Real, class OnDevice>
void attention_forward_on(OnDevice, const Context& context, const AttentionShape& shape, const Real* bias,
                          const DropoutMask<Real>& mask, const Tensor<Real>& qkv, const Tensor<Real>& weights,
                          const Tensor<Real>& out);
template <class Real, class OnDevice>
void attention_backward_on(OnDevice, const Context& context, const AttentionShape& shape, Real dropout_scale,
                           const Tensor<Real>& qkv, const Tensor<Real>& weights, const Tensor<Real>& d_out,
                           const Tensor<Real>& d_scores, const Tensor<Real>& d_qkv);

/// Adds bias [3 * width] to qkv [rows * fields x 3 * width]; then, by row and head, weights =
/// softmax(q k^T / sqrt(head_width)) and out [rows * fields x width] = dropout(weights) v. `weights`
/// [rows * heads x fields * fields] are those before dropout, negative where it dropped them.
template <class Real>
void attention_forward(const Context& context, const AttentionShape& shape, const Real* bias,
                       const DropoutMask<Real>& mask, const Tensor<Real>& qkv, const Tensor<Real>& weights,
                       const Tensor<Real>& out) {
  on_device(context, [&](auto device) {
    attention_forward_on(device, context, shape, bias, mask, qkv, weights, out);
  });
}

/// The way back from d_out to d_qkv, from what forward left in qkv and weights. d_scores, as large as
/// weights, is scratch.
template <class Real>
void attention_backward(const Context& context, const AttentionShape& shape, Real dropout_scale,
                        const Tensor<Real>& qkv, const Tensor<Real>& weights, const Tensor<Real>& d_out,
                        const Tensor<Real>& d_scores, const Tensor<Real>& d_qkv) {
  on_device(context, [&](auto device) {
    attention_backward_on(device, context, shape, dropout_scale, qkv, weights, d_out, d_scores, d_qkv);
  });
}

}  // namespace sllmr
