// Scaled dot-product attention over the fields of a row, all heads at once (Vaswani et al., NeurIPS 2017).
#pragma once

#include "kernels/dense/dropout_mask.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

/// Each row has `fields` tokens, consecutive rows of qkv; a token's queries, keys and values stand one beside
/// the other, `heads` * `head_width` columns each.
struct AttentionShape {
  int fields, heads, head_width;

  SLLMR_HD int width() const { return heads * head_width; }
};

/// Adds the bias to qkv; then, by row and head, weights = softmax(q k^T / sqrt(head_width)) and out =
/// dropout(weights) v.
template <class Real>
struct AttentionForward {
  AttentionShape shape;
  const Real* bias;  // [3 * width]
  DropoutMask<Real> mask;
  Matrix<Real> qkv;      // [rows * fields x 3 * width]
  Matrix<Real> weights;  // [rows * heads x fields * fields], before dropout; negative where it dropped them
  Matrix<Real> out;      // [rows * fields x width]
};

/// Backward, from what forward left in qkv and weights.
template <class Real>
struct AttentionBackward {
  AttentionShape shape;
  Real dropout_scale;
  Matrix<const Real> qkv, weights;
  Matrix<const Real> d_out;  // [rows * fields x width]
  Matrix<Real> d_scores;     // as large as weights; scratch
  Matrix<Real> d_qkv;        // [rows * fields x 3 * width]
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

/// scores of a side from its qk; the shape's fields are the side's tokens.
template <class Real>
struct AttentionScores {
  AttentionShape shape;
  Matrix<const Real> qk;
  Matrix<Real> scores;
};

/// What AttentionRank reads of a side.
template <class Real>
struct AttentionSideView {
  AttentionSideView(const AttentionSide<Real>& side)  // NOLINT(google-explicit-constructor): as a Matrix
      : tokens(side.tokens), values(side.values), residual(side.residual), scores(side.scores) {}

  int tokens;
  Matrix<const Real> values, residual, scores;
};

/// out = sum over the tokens i of a row, the user's before the item's, of weight_i . relu(residual_i + sum
/// over heads and tokens j of a_ij P_j), with one user's tokens and those of as many items as out has rows.
template <class Real>
struct AttentionRank {
  AttentionShape shape;
  AttentionSideView<Real> user, items;
  /// [rows * item tokens x 2 * heads * user tokens]: for each of the item's tokens, its key's products with
  /// the user's queries, head by head, then its query's with the user's keys.
  Matrix<const Real> across;
  const Real* weight;    // [fields * width]
  Matrix<Real> scratch;  // [rows x heads * fields * fields]
  Matrix<Real> out;      // [rows x 1]
};

}  // namespace sllmr
