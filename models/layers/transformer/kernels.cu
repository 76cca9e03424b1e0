#include "models/layers/transformer/kernels.h"

#include <cmath>

#include "kernels/exec/column_sums.h"
#include "kernels/exec/launch.h"
#include "kernels/exec/math.h"

namespace sllmr {

namespace {

/// An inner product that a lane takes alone.
struct OneLane {
  static constexpr int size = 1;
};

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const RmsNorm<Real>& args, std::int64_t row) {
  const std::int64_t cols = args.x.cols;
  const Real* x = args.x.row(row);
  const Real squares = sum_of<Real>(lanes, cols, [&](std::int64_t c) { return x[c] * x[c]; });
  const Real scale = Real(1) / std::sqrt(squares / static_cast<Real>(cols) + args.eps);
  if (lanes.lane() == 0) *args.scale.row(row) = scale;
  Real* out = args.out.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) out[c] = args.weight[c] * x[c] * scale;
}

/// Item: one row.
template <class Real>
struct RmsNormRow {
  RmsNormBackward<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const std::int64_t cols = args.x.cols;
    const Real *x = args.x.row(row), *d_out = args.d_out.row(row), *weight = args.weight;
    const Real scale = *args.scale.row(row);
    const Real product =
        sum_of<Real>(lanes, cols, [&](std::int64_t c) { return x[c] * weight[c] * d_out[c]; });
    const Real factor = scale * scale * scale * product / static_cast<Real>(cols);
    Real* d_x = args.d_x.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
      d_x[c] += scale * weight[c] * d_out[c] - factor * x[c];
    }
  }
};

template <class Real>
struct RmsNormWeightTerms {
  Matrix<const Real> x, scale, d_out;

  struct Row {
    const Real *x, *d_out;
    Real scale;
    SLLMR_INLINE void operator()(std::int64_t column, Real* sums) const {
      sums[0] = d_out[column] * x[column] * scale;
    }
  };
  SLLMR_INLINE Row row(std::int64_t r) const { return {x.row(r), d_out.row(r), *scale.row(r)}; }
};

template <class Real>
void run_here(const Context& context, const RmsNormBackward<Real>& args) {
  column_sums(context, "rms_norm_weight", args.x.rows, args.x.cols,
              RmsNormWeightTerms<Real>{args.x, args.scale, args.d_out},
              ColumnTargets<Real, 1>{{args.d_weight}});
  launch(context, "rms_norm_backward", args.x.rows, RmsNormRow<Real>{args});
}

/// Turns the pairs of a head's tokens, from `rows` on, `direction` 1 or -1.
template <class Real, class Lanes>
SLLMR_INLINE void turn(Lanes lanes, const CausalShape& shape, const Matrix<const Real>& turns, Real direction,
                       Real* rows, std::int64_t stride) {
  const int pairs = shape.head_width / 2;
  for (int k = lanes.lane(); k < shape.tokens * pairs; k += Lanes::size) {
    const int token = k / pairs, pair = k % pairs;
    const Real* angle = turns.row(token) + 2 * pair;
    Real* at = rows + token * stride + 2 * pair;
    const Real x = at[0], y = at[1], sine = direction * angle[1];
    at[0] = x * angle[0] - y * sine;
    at[1] = x * sine + y * angle[0];
  }
}

/// to[d] = sum over first <= k < last of coefficient(k) * rows[k * stride + d], d < width.
template <class Real, class Lanes, class Coefficient>
SLLMR_INLINE void combine_tokens(Lanes lanes, int first, int last, int width, const Coefficient& coefficient,
                                 const Real* rows, std::int64_t stride, Real* to) {
  SLLMR_ROW_LOOP
  for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = 0;
  for (int k = first; k < last; ++k) {
    const Real c = coefficient(k);
    const Real* row = rows + k * stride;
    SLLMR_ROW_LOOP
    for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] += c * row[d];
  }
}

/// Item: one head of one sequence.
template <class Real>
struct CausalForwardHead {
  CausalAttention<Real> args;
  Real scale;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const CausalShape& shape = args.shape;
    const int tokens = shape.tokens, dims = shape.head_width, width = shape.width();
    const std::int64_t sequence = item / shape.heads, stride = args.qkv.stride;
    Real* q = args.qkv.row(sequence * tokens) + item % shape.heads * dims;
    Real* k = q + width;
    const Real* v = k + width;
    turn(lanes, shape, args.turns, Real(1), q, stride);
    turn(lanes, shape, args.turns, Real(1), k, stride);
    lanes.sync();
    Real* a = args.weights.row(item);
    for (int at = lanes.lane(); at < tokens * tokens; at += Lanes::size) {
      const int i = at / tokens, j = at % tokens;
      if (j > i) continue;
      const Real *of_i = q + i * stride, *of_j = k + j * stride;
      a[at] = scale * sum_of<Real>(OneLane{}, dims, [&](std::int64_t d) { return of_i[d] * of_j[d]; });
    }
    lanes.sync();
    for (int i = lanes.lane(); i < tokens; i += Lanes::size) shares(sequence, i, a + i * tokens);
    lanes.sync();
    for (int i = 0; i < tokens; ++i) {
      combine_tokens(
          lanes, 0, i + 1, dims, [&](int j) { return a[i * tokens + j]; }, v, stride,
          args.out.row(sequence * tokens + i) + item % shape.heads * dims);
    }
  }

 private:
  /// The softmax of token i's scores a over the tokens up to it that are there.
  SLLMR_HD void shares(std::int64_t sequence, int i, Real* a) const {
    const PresentTokens& present = args.present;
    const bool there = present.has(sequence, i);
    Real largest = a[i], sum = 0;
    for (int j = 0; j < i; ++j) {
      if (present.has(sequence, j) && a[j] > largest) largest = a[j];
    }
    for (int j = 0; j < args.shape.tokens; ++j) {
      const bool counts = there && j <= i && present.has(sequence, j);
      a[j] = counts ? exp_of(a[j] - largest) : Real(0);
      sum += a[j];
    }
    if (!there) return;
    for (int j = 0; j <= i; ++j) a[j] /= sum;
  }
};

/// Item: one head of one sequence. The weights of tokens that are not there are zero, and so is what follows
/// from them.
template <class Real>
struct CausalBackwardHead {
  CausalAttentionBackward<Real> args;
  Real scale;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const CausalShape& shape = args.shape;
    const int tokens = shape.tokens, dims = shape.head_width, width = shape.width();
    const std::int64_t first = item / shape.heads * tokens, column = item % shape.heads * dims;
    const std::int64_t stride = args.qkv.stride, d_stride = args.d_qkv.stride, out_stride = args.d_out.stride;
    const Real *q = args.qkv.row(first) + column, *k = q + width, *v = k + width;
    const Real* d_out = args.d_out.row(first) + column;
    Real *d_q = args.d_qkv.row(first) + column, *d_k = d_q + width, *d_v = d_k + width;
    const Real* a = args.weights.row(item);
    Real* s = args.d_scores.row(item);
    for (int at = lanes.lane(); at < tokens * tokens; at += Lanes::size) {
      const int i = at / tokens, j = at % tokens;
      const Real *of_i = d_out + i * out_stride, *of_j = v + j * stride;
      s[at] =
          j > i ? Real(0) : sum_of<Real>(OneLane{}, dims, [&](std::int64_t d) { return of_i[d] * of_j[d]; });
    }
    lanes.sync();
    for (int i = lanes.lane(); i < tokens; i += Lanes::size) {
      const Real* of_i = a + i * tokens;
      Real* d = s + i * tokens;
      Real mean = 0;
      for (int j = 0; j <= i; ++j) mean += of_i[j] * d[j];
      for (int j = 0; j <= i; ++j) d[j] = of_i[j] * (d[j] - mean) * scale;
    }
    lanes.sync();
    for (int i = 0; i < tokens; ++i) {
      combine_tokens(
          lanes, 0, i + 1, dims, [&](int j) { return s[i * tokens + j]; }, k, stride, d_q + i * d_stride);
      combine_tokens(
          lanes, i, tokens, dims, [&](int j) { return s[j * tokens + i]; }, q, stride, d_k + i * d_stride);
      combine_tokens(
          lanes, i, tokens, dims, [&](int j) { return a[j * tokens + i]; }, d_out, out_stride,
          d_v + i * d_stride);
    }
    lanes.sync();
    turn(lanes, shape, args.turns, Real(-1), d_q, d_stride);
    turn(lanes, shape, args.turns, Real(-1), d_k, d_stride);
  }
};

template <class Real>
Real causal_scale(const CausalShape& shape) {
  return Real(1) / std::sqrt(static_cast<Real>(shape.head_width));
}

template <class Real>
void run_here(const Context& context, const CausalAttention<Real>& args) {
  launch(context, "causal_attention", args.weights.rows,
         CausalForwardHead<Real>{args, causal_scale<Real>(args.shape)});
}

template <class Real>
void run_here(const Context& context, const CausalAttentionBackward<Real>& args) {
  launch(context, "causal_attention_backward", args.weights.rows,
         CausalBackwardHead<Real>{args, causal_scale<Real>(args.shape)});
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const SwiGlu<Real>& args, std::int64_t row) {
  const std::int64_t n = args.out.cols;
  const Real *a = args.x.row(row), *b = a + n;
  Real* out = args.out.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < n; c += Lanes::size) out[c] = a[c] * sigmoid_of(a[c]) * b[c];
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const SwiGluBackward<Real>& args, std::int64_t row) {
  const std::int64_t n = args.d_out.cols;
  const Real *a = args.x.row(row), *b = a + n, *d_out = args.d_out.row(row);
  Real *d_a = args.d_x.row(row), *d_b = d_a + n;
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < n; c += Lanes::size) {
    const Real s = sigmoid_of(a[c]);
    d_b[c] = d_out[c] * a[c] * s;
    d_a[c] = d_out[c] * b[c] * s * (Real(1) + a[c] * (Real(1) - s));
  }
}

template <class Real>
SLLMR_INLINE Real normal_below(Real x) {
  return Real(0.5) * (Real(1) + std::erf(x * Real(0.70710678118654752)));
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const Gelu<Real>& args, std::int64_t row) {
  const Real* x = args.x.row(row);
  Real* out = args.out.row(row);
  for (std::int64_t c = lanes.lane(); c < args.out.cols; c += Lanes::size) out[c] = x[c] * normal_below(x[c]);
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const GeluBackward<Real>& args, std::int64_t row) {
  constexpr auto kDensity = Real(0.39894228040143268);  // 1 / sqrt(2 pi)
  const Real *x = args.x.row(row), *d_out = args.d_out.row(row);
  Real* d_x = args.d_x.row(row);
  for (std::int64_t c = lanes.lane(); c < args.x.cols; c += Lanes::size) {
    const Real density = kDensity * std::exp(Real(-0.5) * x[c] * x[c]);
    d_x[c] = d_out[c] * (normal_below(x[c]) + x[c] * density);
  }
}

}  // namespace

SLLMR_ITEM_KERNELS(RmsNorm, "rms_norm", args.x.rows)
SLLMR_KERNELS(RmsNormBackward)
SLLMR_KERNELS(CausalAttention)
SLLMR_KERNELS(CausalAttentionBackward)
SLLMR_ITEM_KERNELS(SwiGlu, "swi_glu", args.x.rows)
SLLMR_ITEM_KERNELS(SwiGluBackward, "swi_glu_backward", args.x.rows)
SLLMR_ITEM_KERNELS(Gelu, "gelu", args.x.rows)
SLLMR_ITEM_KERNELS(GeluBackward, "gelu_backward", args.x.rows)

}  // namespace sllmr
