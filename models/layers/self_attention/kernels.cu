#include "models/layers/self_attention/kernels.h"

#include <cmath>

#include "kernels/dense/softmax.h"
#include "kernels/exec/launch.h"
#include "kernels/exec/math.h"
#include "kernels/exec/matrix.h"

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

/// Where an item, one head of one row, has its numbers: in rows first .. first + fields - 1 of qkv and of the
/// result, from `column` on.
struct HeadOfRow {
  SLLMR_INLINE HeadOfRow(const AttentionShape& shape, std::int64_t item)
      : fields(shape.fields),
        dims(shape.head_width),
        width(shape.width()),
        column(static_cast<int>(item % shape.heads) * shape.head_width),
        first(item / shape.heads * shape.fields) {}

  int fields, dims, width, column;
  std::int64_t first;
};

/// Item: one head of one row.
template <class Real>
struct ForwardHead {
  AttentionForward<Real> args;
  Real scale;
  bool drops;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const HeadOfRow head(args.shape, item);
    const int fields = head.fields, dims = head.dims;
    const Matrix<Real> qkv = args.qkv;
    const Real* bias = args.bias;
    for (int f = 0; f < fields; ++f) {
      for (int part = head.column; part < 3 * head.width; part += head.width) {
        Real* row = qkv.row(head.first + f) + part;
        SLLMR_ROW_LOOP
        for (int d = lanes.lane(); d < dims; d += Lanes::size) row[d] += bias[part + d];
      }
    }
    Real* a = args.weights.row(item);
    for (int i = 0; i < fields; ++i) {
      const Real* q = qkv.row(head.first + i) + head.column;
      for (int j = 0; j < fields; ++j) {
        const Real* k = qkv.row(head.first + j) + head.column + head.width;
        const Real score = sum_of<Real>(lanes, dims, [&](std::int64_t d) { return q[d] * k[d]; });
        if (lanes.lane() == 0) a[i * fields + j] = score * scale;
      }
    }
    lanes.sync();
    for (int i = lanes.lane(); i < fields; i += Lanes::size) softmax(a + i * fields, fields);
    lanes.sync();
    if (drops) {
      args.mask.for_row(lanes, item, fields * fields, [&](std::int64_t at, bool keep) {
        if (!keep) a[at] = -a[at];
      });
      lanes.sync();
    }
    const Real* v = qkv.row(head.first) + head.column + 2 * head.width;
    for (int i = 0; i < fields; ++i) {
      combine(
          lanes, fields, dims, [&](int j) { return applied(a[i * fields + j], args.mask.scale); }, v,
          qkv.stride, args.out.row(head.first + i) + head.column);
    }
  }
};

/// Item: one head of one row.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const AttentionScores<Real>& args, std::int64_t item) {
  const int heads = args.shape.heads, dims = args.shape.head_width, tokens = args.shape.fields;
  const std::int64_t row = item / heads, head = item % heads;
  Real* to = args.scores.row(row) + head * tokens * tokens;
  for (int i = 0; i < tokens; ++i) {
    const Real* q = args.qk.row(row * tokens + i) + head * dims;
    for (int j = 0; j < tokens; ++j) {
      const Real* k = args.qk.row(row * tokens + j) + (heads + head) * dims;
      const Real score = sum_of<Real>(lanes, dims, [&](std::int64_t d) { return q[d] * k[d]; });
      if (lanes.lane() == 0) to[i * tokens + j] = score;
    }
  }
}

/// Item: one row.
template <class Real>
struct RankRow {
  AttentionRank<Real> args;
  Real scale;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const AttentionShape shape = args.shape;
    const int fields = shape.fields, width = shape.width(), weights = shape.heads * fields * fields;
    Real* a = args.scratch.row(row);
    for (int k = lanes.lane(); k < shape.heads * fields; k += Lanes::size) {
      scores(row, k / fields, k % fields, a + k * fields);
    }
    lanes.sync();
    SLLMR_ROW_LOOP
    for (int k = lanes.lane(); k < weights; k += Lanes::size) a[k] = exp_of(a[k]);
    lanes.sync();
    for (int k = lanes.lane(); k < shape.heads * fields; k += Lanes::size) normalise(a + k * fields);
    lanes.sync();

    Real total = 0;
    int column = lanes.lane();
    if constexpr (Lanes::size == 1) {
      for (; column + 32 <= width; column += 32) total += block<32>(row, a, column);
      for (; column + 8 <= width; column += 8) total += block<8>(row, a, column);
    }
    for (; column < width; column += Lanes::size) total += block<1>(row, a, column);
    total = lanes.sum(total);
    if (lanes.lane() == 0) *args.out.row(row) = total;
  }

 private:
  /// Scores of token i with all others, less the largest.
  SLLMR_HD void scores(std::int64_t row, int head, int i, Real* a) const {
    const AttentionSideView<Real>&user = args.user, &items = args.items;
    const int of_user = user.tokens, of_item = items.tokens;
    const std::int64_t first = row * of_item;
    if (i < of_user) {
      const Real* own = user.scores.row(0) + (head * of_user + i) * of_user;
      for (int j = 0; j < of_user; ++j) a[j] = own[j] * scale;
      for (int j = 0; j < of_item; ++j) {
        a[of_user + j] = args.across.row(first + j)[head * of_user + i] * scale;
      }
    } else {
      const Real* own = items.scores.row(row) + (head * of_item + i - of_user) * of_item;
      const Real* other = args.across.row(first + i - of_user) + (args.shape.heads + head) * of_user;
      for (int j = 0; j < of_user; ++j) a[j] = other[j] * scale;
      for (int j = 0; j < of_item; ++j) a[of_user + j] = own[j] * scale;
    }
    Real largest = a[0];
    for (int j = 1; j < args.shape.fields; ++j) largest = a[j] > largest ? a[j] : largest;
    for (int j = 0; j < args.shape.fields; ++j) a[j] -= largest;
  }

  SLLMR_HD void normalise(Real* a) const {
    Real sum = 0;
    for (int j = 0; j < args.shape.fields; ++j) sum += a[j];
    const Real inverse = Real(1) / sum;
    for (int j = 0; j < args.shape.fields; ++j) a[j] *= inverse;
  }

  /// What columns first .. first + Columns - 1 of all tokens give.
  template <int Columns>
  SLLMR_INLINE Real block(std::int64_t row, const Real* a, int first) const {
    const AttentionSideView<Real>&user = args.user, &items = args.items;
    const int fields = args.shape.fields, width = args.shape.width();
    Real total[Columns] = {};
    for (int i = 0; i < fields; ++i) {
      const Real* start = (i < user.tokens ? user.residual.row(i)
                                           : items.residual.row(row * items.tokens + i - user.tokens)) +
                          first;
      Real y[Columns];
      SLLMR_ROW_LOOP
      for (int c = 0; c < Columns; ++c) y[c] = start[c];
      for (int head = 0; head < args.shape.heads; ++head) {
        const Real* of_head = a + (head * fields + i) * fields;
        const int column = head * width + first;
        add(of_head, user.values, 0, user.tokens, column, y);
        add(of_head + user.tokens, items.values, row * items.tokens, items.tokens, column, y);
      }
      const Real* w = args.weight + i * width + first;
      SLLMR_ROW_LOOP
      for (int c = 0; c < Columns; ++c) total[c] += w[c] * (y[c] < 0 ? Real(0) : y[c]);
    }
    Real sum = 0;
    for (int c = 0; c < Columns; ++c) sum += total[c];
    return sum;
  }
  /// y += sum over `tokens` rows of `values`, from row `first` and column `column` on, of their weights `a`.
  template <int Columns>
  SLLMR_INLINE void add(const Real* a, const Matrix<const Real>& values, std::int64_t first, int tokens,
                        int column, Real (&y)[Columns]) const {
    const Real* x = values.row(first) + column;
    for (int j = 0; j < tokens; ++j, x += values.stride) {
      const Real factor = a[j];
      SLLMR_ROW_LOOP
      for (int c = 0; c < Columns; ++c) y[c] += factor * x[c];
    }
  }
};

/// Item: one head of one row.
template <class Real>
struct BackwardHead {
  AttentionBackward<Real> args;
  Real scale;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const HeadOfRow head(args.shape, item);
    const int fields = head.fields, dims = head.dims;
    const Matrix<const Real> qkv = args.qkv, d_out = args.d_out;
    const Real* a = args.weights.row(item);
    Real* s = args.d_scores.row(item);
    for (int i = 0; i < fields; ++i) {
      const Real* d_o = d_out.row(head.first + i) + head.column;
      for (int j = 0; j < fields; ++j) {
        const Real* v = qkv.row(head.first + j) + head.column + 2 * head.width;
        const Real d = sum_of<Real>(lanes, dims, [&](std::int64_t k) { return d_o[k] * v[k]; });
        if (lanes.lane() == 0) s[i * fields + j] = a[i * fields + j] < 0 ? Real(0) : d * args.dropout_scale;
      }
    }
    lanes.sync();
    for (int i = lanes.lane(); i < fields; i += Lanes::size) softmax_backward(a + i * fields, s + i * fields);
    lanes.sync();
    const Real* q = qkv.row(head.first) + head.column;
    const Real* d_o = d_out.row(head.first) + head.column;
    for (int i = 0; i < fields; ++i) {
      Real* d_q = args.d_qkv.row(head.first + i) + head.column;
      combine(
          lanes, fields, dims, [&](int j) { return s[i * fields + j]; }, q + head.width, qkv.stride, d_q);
      combine(
          lanes, fields, dims, [&](int j) { return s[j * fields + i]; }, q, qkv.stride, d_q + head.width);
      combine(
          lanes, fields, dims, [&](int j) { return applied(a[j * fields + i], args.dropout_scale); }, d_o,
          d_out.stride, d_q + 2 * head.width);
    }
  }

 private:
  /// s from the gradients of the weights to those of the products q k.
  SLLMR_HD void softmax_backward(const Real* a, Real* s) const {
    Real mean = 0;
    for (int j = 0; j < args.shape.fields; ++j) mean += std::fabs(a[j]) * s[j];
    for (int j = 0; j < args.shape.fields; ++j) s[j] = std::fabs(a[j]) * (s[j] - mean) * scale;
  }
};

template <class Real>
Real score_scale(const AttentionShape& shape) {
  return Real(1) / std::sqrt(static_cast<Real>(shape.head_width));
}

template <class Real>
void run_here(const Context& context, const AttentionForward<Real>& args) {
  launch(context, "attention_forward", args.weights.rows,
         ForwardHead<Real>{args, score_scale<Real>(args.shape), args.mask.active()});
}

template <class Real>
void run_here(const Context& context, const AttentionBackward<Real>& args) {
  launch(context, "attention_backward", args.weights.rows,
         BackwardHead<Real>{args, score_scale<Real>(args.shape)});
}

template <class Real>
void run_here(const Context& context, const AttentionRank<Real>& args) {
  launch(context, "attention_rank", args.out.rows, RankRow<Real>{args, score_scale<Real>(args.shape)});
}

}  // namespace

SLLMR_KERNELS(AttentionForward)
SLLMR_KERNELS(AttentionBackward)
SLLMR_ITEM_KERNELS(AttentionScores, "attention_scores", (args.scores.rows * args.shape.heads))
SLLMR_KERNELS(AttentionRank)

}  // namespace sllmr
