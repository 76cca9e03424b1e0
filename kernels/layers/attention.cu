#include "kernels/layers/attention.h"

#include <cmath>

#include "kernels/exec/launch.h"
#include "kernels/layers/matrix.h"

namespace sllmr {

namespace {

/// A weight of the softmax as forward stores it: its sign says whether dropout took it.
template <class Real>
SLLMR_INLINE Real applied(Real stored, Real dropout_scale) {
  return stored < 0 ? Real(0) : stored * dropout_scale;
}

/// to[d] = sum over k < n of coefficient(k) * rows[k * stride + d], d < width.
template <class Real, class Lanes, class Coefficient>
SLLMR_INLINE void combine(Lanes lanes, int n, int width, const Coefficient& coefficient, const Real* rows,
                          std::int64_t stride, Real* to) {
  SLLMR_ROW_LOOP
  for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = 0;
  for (int k = 0; k < n; ++k, rows += stride) {
    const Real c = coefficient(k);
    SLLMR_ROW_LOOP
    for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] += c * rows[d];
  }
}

/// Item: one head of one row.
template <class Real>
struct AttentionForward {
  AttentionShape shape;
  const Real* bias;
  Real scale;
  DropoutMask<Real> mask;
  bool drops;
  Matrix<Real> qkv, weights, out;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const int fields = shape.fields, dims = shape.head_width, width = shape.width();
    const std::int64_t first = item / shape.heads * fields;
    const int column = static_cast<int>(item % shape.heads) * dims;
    for (int f = 0; f < fields; ++f) {
      for (int part = column; part < 3 * width; part += width) {
        Real* row = qkv.row(first + f) + part;
        SLLMR_ROW_LOOP
        for (int d = lanes.lane(); d < dims; d += Lanes::size) row[d] += bias[part + d];
      }
    }
    Real* a = weights.row(item);
    for (int i = 0; i < fields; ++i) {
      const Real* q = qkv.row(first + i) + column;
      for (int j = 0; j < fields; ++j) {
        const Real* k = qkv.row(first + j) + column + width;
        const Real score = sum_of<Real>(lanes, dims, [&](std::int64_t d) { return q[d] * k[d]; });
        if (lanes.lane() == 0) a[i * fields + j] = score * scale;
      }
    }
    lanes.sync();
    for (int i = lanes.lane(); i < fields; i += Lanes::size) softmax(a + i * fields);
    lanes.sync();
    if (drops) {
      mask.for_row(lanes, item, fields * fields, [&](std::int64_t at, bool keep) {
        if (!keep) a[at] = -a[at];
      });
      lanes.sync();
    }
    const Real* v = qkv.row(first) + column + 2 * width;
    for (int i = 0; i < fields; ++i) {
      combine(
          lanes, fields, dims, [&](int j) { return applied(a[i * fields + j], mask.scale); }, v, qkv.stride,
          out.row(first + i) + column);
    }
  }

 private:
  SLLMR_HD void softmax(Real* a) const {
    Real largest = a[0], sum = 0;
    for (int j = 1; j < shape.fields; ++j) largest = a[j] > largest ? a[j] : largest;
    for (int j = 0; j < shape.fields; ++j) {
      a[j] = std::exp(a[j] - largest);
      sum += a[j];
    }
    for (int j = 0; j < shape.fields; ++j) a[j] /= sum;
  }
};

template <class Real>
struct AttentionBackward {
  AttentionShape shape;
  Real scale, dropout_scale;
  Matrix<Real> qkv, weights, d_out, d_scores, d_qkv;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const int fields = shape.fields, dims = shape.head_width, width = shape.width();
    const std::int64_t first = item / shape.heads * fields;
    const int column = static_cast<int>(item % shape.heads) * dims;
    const Real* a = weights.row(item);
    Real* s = d_scores.row(item);
    for (int i = 0; i < fields; ++i) {
      const Real* d_o = d_out.row(first + i) + column;
      for (int j = 0; j < fields; ++j) {
        const Real* v = qkv.row(first + j) + column + 2 * width;
        const Real d = sum_of<Real>(lanes, dims, [&](std::int64_t k) { return d_o[k] * v[k]; });
        if (lanes.lane() == 0) s[i * fields + j] = a[i * fields + j] < 0 ? Real(0) : d * dropout_scale;
      }
    }
    lanes.sync();
    for (int i = lanes.lane(); i < fields; i += Lanes::size) softmax_backward(a + i * fields, s + i * fields);
    lanes.sync();
    const Real* q = qkv.row(first) + column;
    const Real* d_o = d_out.row(first) + column;
    for (int i = 0; i < fields; ++i) {
      Real* d_q = d_qkv.row(first + i) + column;
      combine(
          lanes, fields, dims, [&](int j) { return s[i * fields + j]; }, q + width, qkv.stride, d_q);
      combine(
          lanes, fields, dims, [&](int j) { return s[j * fields + i]; }, q, qkv.stride, d_q + width);
      combine(
          lanes, fields, dims, [&](int j) { return applied(a[j * fields + i], dropout_scale); }, d_o,
          d_out.stride, d_q + 2 * width);
    }
  }

 private:
  /// s from the gradients of the weights to those of the products q k.
  SLLMR_HD void softmax_backward(const Real* a, Real* s) const {
    Real mean = 0;
    for (int j = 0; j < shape.fields; ++j) mean += std::fabs(a[j]) * s[j];
    for (int j = 0; j < shape.fields; ++j) s[j] = std::fabs(a[j]) * (s[j] - mean) * scale;
  }
};

template <class Real>
Real score_scale(const AttentionShape& shape) {
  return Real(1) / std::sqrt(static_cast<Real>(shape.head_width));
}

}  // namespace

template <class Real, class OnDevice>
void attention_forward_on(OnDevice, const Context& context, const AttentionShape& shape, const Real* bias,
                          const DropoutMask<Real>& mask, const Tensor<Real>& qkv, const Tensor<Real>& weights,
                          const Tensor<Real>& out) {
  launch(context, "attention_forward", shape.rows * shape.heads,
         AttentionForward<Real>{shape, bias, score_scale<Real>(shape), mask, mask.active(), matrix(qkv),
                                matrix(weights), matrix(out)});
}

template <class Real, class OnDevice>
void attention_backward_on(OnDevice, const Context& context, const AttentionShape& shape, Real dropout_scale,
                           const Tensor<Real>& qkv, const Tensor<Real>& weights, const Tensor<Real>& d_out,
                           const Tensor<Real>& d_scores, const Tensor<Real>& d_qkv) {
  launch(context, "attention_backward", shape.rows * shape.heads,
         AttentionBackward<Real>{shape, score_scale<Real>(shape), dropout_scale, matrix(qkv), matrix(weights),
                                 matrix(d_out), matrix(d_scores), matrix(d_qkv)});
}

#define SLLMR_INSTANTIATE(Real)                                                                          \
  template void attention_forward_on(OnThisDevice, const Context&, const AttentionShape&, const Real*,   \
                                     const DropoutMask<Real>&, const Tensor<Real>&, const Tensor<Real>&, \
                                     const Tensor<Real>&);                                               \
  template void attention_backward_on(OnThisDevice, const Context&, const AttentionShape&, Real,         \
                                      const Tensor<Real>&, const Tensor<Real>&, const Tensor<Real>&,     \
                                      const Tensor<Real>&, const Tensor<Real>&);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
