// What a causal transformer and what follows it need beside products of matrices: RMSNorm, attention with
// rotary positions, SwiGLU, GELU.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// Zhang and Sennrich, NeurIPS 2019: scale[r] = 1 / sqrt(mean over the columns of x^2 + eps), out = weight *
/// x * scale.
template <class Real>
struct RmsNorm {
  Matrix<const Real> x;
  const Real* weight;  // [cols]
  Real eps;
  Matrix<Real> scale;  // [rows x 1]
  Matrix<Real> out;
};

/// Backward: d_x += scale weight d_out - x scale^3 mean(x weight d_out), d_weight [cols] = the sums over rows
/// of d_out x scale.
template <class Real>
struct RmsNormBackward {
  Matrix<const Real> x;
  const Real* weight;
  Matrix<const Real> scale, d_out;
  Matrix<Real> d_x;
  Real* d_weight;
};

/// Sequences of `tokens` consecutive rows; of a token, heads stand one beside the other.
struct CausalShape {
  int tokens, heads, head_width;

  SLLMR_HD int width() const { return heads * head_width; }
};

/// Which tokens of a sequence are there: token t of sequence r where slots[r * each + t / of_slot] >= 0, and
/// all behind the slots.
struct PresentTokens {
  const std::int32_t* slots = nullptr;
  int each = 0, of_slot = 1;

  SLLMR_HD bool has(std::int64_t sequence, int token) const {
    const int slot = token / of_slot;
    return slot >= each || slots[sequence * each + slot] >= 0;
  }
};

/// Turns queries and keys by their position (RoPE, Su et al. 2021): neighbours (x, y) of a head, number p, by
/// the angle t / 10000^(2 p / head_width) at token t. Then, by sequence and head, weights = softmax over the
/// tokens j <= i that are there of (q_i . k_j / sqrt(head_width)), and out_i = sum of weights_ij v_j; zero
/// for a token that is not there.
template <class Real>
struct CausalAttention {
  CausalShape shape;
  PresentTokens present;
  Matrix<const Real> turns;  // [tokens x head_width]: cosine and sine of each angle
  Matrix<Real> qkv;          // [sequences * tokens x 3 * width]
  Matrix<Real> weights;      // [sequences * heads x tokens * tokens]
  Matrix<Real> out;          // [sequences * tokens x width]
};

/// Backward, from what forward left in qkv and weights.
template <class Real>
struct CausalAttentionBackward {
  CausalShape shape;
  Matrix<const Real> turns;
  Matrix<const Real> qkv, weights;
  Matrix<const Real> d_out;
  Matrix<Real> d_scores;  // as large as weights; scratch
  Matrix<Real> d_qkv;
};

/// SwiGLU (Shazeer 2020): out = silu(a) b, where x [rows x 2 * n] holds a beside b; silu(a) = a sigmoid(a).
template <class Real>
struct SwiGlu {
  Matrix<const Real> x;
  Matrix<Real> out;  // [rows x n]
};

template <class Real>
struct SwiGluBackward {
  Matrix<const Real> x, d_out;
  Matrix<Real> d_x;
};

/// out = x Phi(x), Phi the normal distribution's (Hendrycks and Gimpel 2016), exact.
template <class Real>
struct Gelu {
  Matrix<const Real> x;
  Matrix<Real> out;
};

template <class Real>
struct GeluBackward {
  Matrix<const Real> x, d_out;
  Matrix<Real> d_x;
};

}  // namespace sllmr
