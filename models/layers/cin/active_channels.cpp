#include "models/layers/cin/active_channels.h"

#include <algorithm>
#include <numeric>

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/small_gemm.h"

namespace sllmr {

namespace {

/// The products transposed, z [columns x stride()]: pairs, a one, zeros. small_multiply() wants them so,
/// cuBLAS does not. Item: one column.
template <class Real>
struct ProductsByColumn {
  CinPairs pairs;
  Matrix<const Real> hidden, x0;
  Matrix<Real> z;

  template <class Lanes>
  void operator()(Lanes, std::int64_t column) const {
    // A channel's products are few, yet vectorise when as many are written whatever their number: what is too
    // much is written over by the next channel's.
    constexpr int kRun = 8;
    const std::int64_t columns = x0.cols;
    const bool few = pairs.fields <= kRun;
    Real* to = z.row(column);
    Real y[2 * kRun] = {};
    for (int m = 0; few && m < pairs.fields; ++m) y[m] = x0.data[m * columns + column];
    for (int h = 0; h < pairs.hidden; ++h) {
      const int first = pairs.first(h), row = pairs.row(h, first);
      const Real x = hidden.data[h * columns + column];
      if (few && row + kRun <= pairs.stride()) {
        SLLMR_ROW_LOOP
        for (int k = 0; k < kRun; ++k) to[row + k] = x * y[first + k];
      } else {
        for (int m = first; m < pairs.fields; ++m) to[row + m - first] = x * x0.data[m * columns + column];
      }
    }
    to[pairs.count()] = 1;
    for (int k = pairs.count() + 1; k < pairs.stride(); ++k) to[k] = 0;
  }
};

void find_all(int n, std::vector<int>& list) {
  list.resize(static_cast<std::size_t>(n));
  std::iota(list.begin(), list.end(), 0);
}

/// The rows of x that are not 0 everywhere, replacing `active`.
template <class Real>
void find_active(const Matrix<const Real>& x, std::vector<int>& active) {
  active.clear();
  for (int row = 0; row < x.rows; ++row) {
    const Real* of_row = x.row(row);
    int any = 0;
#pragma omp simd reduction(| : any)
    for (std::int64_t c = 0; c < x.cols; ++c) any |= of_row[c] != 0 ? 1 : 0;
    if (any != 0) active.push_back(row);
  }
}

/// The `active` rows of x, in memory from `to` on.
template <class Real>
Matrix<Real> take_rows(const std::vector<int>& active, const Matrix<const Real>& x, Real* to) {
  const Matrix<Real> rows(to, static_cast<std::int64_t>(active.size()), x.cols);
  for (const int row : active) to = std::copy_n(x.row(row), x.cols, to);
  return rows;
}

/// The reverse of take_rows(): x's other rows become 0.
template <class Real>
void put_rows(const std::vector<int>& active, const Real* rows, const Matrix<Real>& x) {
  std::fill_n(x.data, x.rows * x.cols, Real(0));
  for (const int row : active) {
    std::copy_n(rows, x.cols, x.row(row));
    rows += x.cols;
  }
}

}  // namespace

template <class Real>
void CinActiveChannels<Real>::forward(const Context& context, const CinTile<Real>& tile,
                                      const Matrix<Real>& y) {
  CinTile<Real> few = tile;
  few.pairs = find_hidden(tile);
  if (few.pairs.hidden < tile.pairs.hidden) {
    find_all(static_cast<int>(y.rows), out_);
    few.hidden = take_rows(hidden_, tile.hidden, hidden_rows_);
    few.packed = take_weights(tile.pairs, tile.packed, weights_);
  }
  run(context,
      CinProducts<Real>{.pairs = few.pairs, .hidden = few.hidden, .x0 = tile.x0, .z = few.products()});
  small_multiply(few.weights(), few.products(), y);
}

template <class Real>
void CinActiveChannels<Real>::backward(const Context& context, const CinTile<Real>& tile,
                                       const Matrix<const Real>& d_y, const Matrix<Real>& d_packed,
                                       const Matrix<Real>& d_hidden, const Matrix<Real>& d_x0) {
  const CinPairs pairs = find_hidden(tile);
  find_active(d_y, out_);
  const std::int64_t columns = tile.x0.cols;
  const Matrix<const Real> d_y_rows = take_rows(out_, d_y, d_y_rows_),
                           hidden = take_rows(hidden_, tile.hidden, hidden_rows_),
                           weights = take_weights(tile.pairs, tile.packed, weights_);
  const Matrix<Real> d_weights = take_weights(tile.pairs, d_packed, d_weights_);

  const Matrix<Real> by_column(tile.z, columns, pairs.stride());
  launch(context, "cin_products_by_column", columns,
         ProductsByColumn<Real>{pairs, hidden, tile.x0, by_column});
  small_multiply_add(d_y_rows, by_column, d_weights);
  put_weights(tile.pairs, d_weights, d_packed);
  const Matrix<Real> d_z(tile.z, pairs.count(), columns);
  small_multiply(transposed(weights.columns(0, pairs.count())), d_y_rows, d_z);
  run(context, CinProductsBackward<Real>{.pairs = pairs,
                                         .hidden = hidden,
                                         .x0 = tile.x0,
                                         .d_z = d_z,
                                         .d_hidden = {d_hidden_rows_, pairs.hidden, columns},
                                         .d_x0 = d_x0});
  if (!pairs.symmetric) put_rows(hidden_, d_hidden_rows_, d_hidden);
}

template <class Real>
CinPairs CinActiveChannels<Real>::find_hidden(const CinTile<Real>& tile) {
  const CinPairs& of = tile.pairs;
  if (of.symmetric) {
    find_all(of.hidden, hidden_);
  } else {
    find_active(tile.hidden, hidden_);
  }
  return {static_cast<int>(hidden_.size()), of.fields, of.symmetric};
}

/// The packed weights [out x pairs.stride()] between the active channels, with the bias, in memory from `to`
/// on. Symmetric pairs need all of hidden_.
template <class Real>
Matrix<Real> CinActiveChannels<Real>::take_weights(const CinPairs& pairs, const Matrix<const Real>& packed,
                                                   Real* to) const {
  const CinPairs few{static_cast<int>(hidden_.size()), pairs.fields, pairs.symmetric};
  const Matrix<Real> block(to, static_cast<std::int64_t>(out_.size()), few.stride());
  std::fill_n(to, block.rows * block.cols, Real(0));
  for_each_run(pairs, [&](std::int64_t row, int first, int first_packed, int n) {
    const Real* w = packed.row(out_[static_cast<std::size_t>(row)]) + first_packed;
    Real* b = block.row(row) + first;
    for (int k = 0; k < n; ++k) b[k] = w[k];
  });
  return block;
}

/// The reverse of take_weights(), which leaves the other weights as they are.
template <class Real>
void CinActiveChannels<Real>::put_weights(const CinPairs& pairs, const Matrix<const Real>& block,
                                          const Matrix<Real>& packed) const {
  for_each_run(pairs, [&](std::int64_t row, int first, int first_packed, int n) {
    const Real* b = block.row(row) + first;
    Real* w = packed.row(out_[static_cast<std::size_t>(row)]) + first_packed;
    for (int k = 0; k < n; ++k) w[k] = b[k];
  });
}

/// copy(row of the block, its first column there, its first column in the packed row, how many columns) of
/// each run of neighbours.
template <class Real>
template <class Copy>
void CinActiveChannels<Real>::for_each_run(const CinPairs& pairs, const Copy& copy) const {
  const int fields = pairs.fields;
  for (std::int64_t row = 0; row < static_cast<std::int64_t>(out_.size()); ++row) {
    if (pairs.symmetric) {
      copy(row, 0, 0, pairs.count() + 1);
      continue;
    }
    int at = 0;
    for (const int h : hidden_) {
      copy(row, at, h * fields, fields);
      at += fields;
    }
    copy(row, at, pairs.count(), 1);
  }
}

template class CinActiveChannels<float>;
template class CinActiveChannels<double>;

}  // namespace sllmr
