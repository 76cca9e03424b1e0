// Scaled dot-product attention over the fields of a row, all heads at once (Vaswani et al., NeurIPS 2017).
#pragma once

#include "kernels/dense/dropout_mask.h"

namespace sllmr {

/// The shapes. Each row has `fields` tokens, consecutive rows of qkv; a token's queries, keys and values
/// stand one beside the other, `heads` * `head_width` columns each.
struct AttentionShape {
  std::int64_t rows = 0;
  int fields = 0, heads = 0, head_width = 0;

  SLLMR_HD int width() const { return heads * head_width; }
};

/// Ranking, where some tokens of a row are the user's and the others the item's: what of attention knows the
/// tokens of one side alone. P_j, for each head, is the value of token j taken through the output's map.
template <class Real>
struct AttentionSide {
  int tokens = 0;         // of a row
  Tensor<Real> qk;        // [rows * tokens x 2 * width]: queries, keys
  Tensor<Real> values;    // [rows * tokens x heads * width]: P_j, head by head
  Tensor<Real> residual;  // [rows * tokens x width]: what is added to the output, with the output's bias
  Tensor<Real> scores;    // [rows x heads * tokens * tokens]: products of queries and keys

  AttentionSide row_range(std::int64_t first, std::int64_t count) const {
    const auto of = [&](const Tensor<Real>& x) { return x.row_range(first * tokens, count * tokens); };
    return {tokens, of(qk), of(values), of(residual), scores.row_range(first, count)};
  }
};

template <class Real, class OnDevice>
void attention_forward_on(OnDevice, const Context& context, const AttentionShape& shape, const Real* bias,
                          const DropoutMask<Real>& mask, const Tensor<Real>& qkv, const Tensor<Real>& weights,
                          const Tensor<Real>& out);
template <class Real, class OnDevice>
void attention_scores_on(OnDevice, const Context& context, const AttentionShape& shape,
                         const AttentionSide<Real>& side);
template <class Real, class OnDevice>
void attention_rank_on(OnDevice, const Context& context, const AttentionShape& shape,
                       const AttentionSide<Real>& user, const AttentionSide<Real>& items,
                       const Tensor<Real>& across, const Real* weight, const Tensor<Real>& scratch,
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

/// For ranking, of the tokens of one side: side.scores from side.qk.
template <class Real>
void attention_scores(const Context& context, const AttentionShape& shape, const AttentionSide<Real>& side) {
  on_device(context, [&](auto device) { attention_scores_on(device, context, shape, side); });
}

/// out [rows x 1] = sum over the tokens i of a row, the user's before the item's, of weight_i .
/// relu(residual_i + sum over heads and tokens j of a_ij P_j), with one user's tokens `user` and those of
/// shape.rows items; weight [fields * width] in the same order. `across` [rows * item tokens x 2 * heads *
/// user tokens] holds, for each of the item's tokens, its key's products with the user's queries, head by
/// head, then its query's with the user's keys. `scratch` [rows x heads * fields * fields].
template <class Real>
void attention_rank(const Context& context, const AttentionShape& shape, const AttentionSide<Real>& user,
                    const AttentionSide<Real>& items, const Tensor<Real>& across, const Real* weight,
                    const Tensor<Real>& scratch, const Tensor<Real>& out) {
  on_device(context, [&](auto device) {
    attention_rank_on(device, context, shape, user, items, across, weight, scratch, out);
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
