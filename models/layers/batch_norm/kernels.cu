#include "models/layers/batch_norm/kernels.h"

#include <cmath>

#include "kernels/exec/column_sums.h"
#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real>
struct Finish {
  BatchNormView<Real> norm;
  Real* statistics;  // [BatchNormRows::count x cols]
  std::int64_t cols;

  SLLMR_HD void put(std::int64_t column, Real mean, Real inverse, Real offset) const {
    const Real scale = norm.weight[column] * inverse;
    statistics[BatchNormRows::mean * cols + column] = mean;
    statistics[BatchNormRows::inverse * cols + column] = inverse;
    statistics[BatchNormRows::scale * cols + column] = scale;
    statistics[BatchNormRows::shift * cols + column] = norm.bias[column] + (offset - mean) * scale;
  }
  SLLMR_HD Real offset(std::int64_t column) const {
    return norm.offset == nullptr ? Real(0) : norm.offset[column];
  }
  /// `squares`: sum of squared deviations from the mean.
  SLLMR_HD void from_batch(std::int64_t column, Real rows, Real mean, Real squares) const {
    constexpr Real kMomentum = BatchNormView<Real>::kMomentum;
    Real& running_mean = norm.running_mean[column];
    Real& running_var = norm.running_var[column];
    running_mean += kMomentum * (mean + offset(column) - running_mean);
    running_var += kMomentum * (squares / (rows - 1) - running_var);
    put(column, mean, 1 / std::sqrt(squares / rows + BatchNormView<Real>::kEpsilon), Real(0));
  }
  SLLMR_HD void from_running(std::int64_t column) const {
    const Real inverse = 1 / std::sqrt(norm.running_var[column] + BatchNormView<Real>::kEpsilon);
    put(column, norm.running_mean[column], inverse, offset(column));
  }
};

/// Mean and squared deviations of a block of columns in a chunk of rows.
template <class Real, class OnDevice>
struct ChunkStatistics {
  ColumnGrid<OnDevice> grid;
  Matrix<const Real> x;
  Real* partial;  // [chunks x 2 x cols]; null where there is one chunk
  Finish<Real> finish;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    constexpr int kMine = ColumnGrid<OnDevice>::kBlock / Lanes::size;
    Real mean[kMine] = {}, squares[kMine] = {};
    const std::int64_t first = grid.first_row(item), end = grid.end_row(item);
    for (std::int64_t row = first; row < end; ++row) {
      const Real* values = x.row(row);
      grid.for_columns(lanes, item, [&](int k, std::int64_t column) { mean[k] += values[column]; });
    }
    for (int k = 0; k < kMine; ++k) mean[k] /= static_cast<Real>(end - first);
    for (std::int64_t row = first; row < end; ++row) {
      const Real* values = x.row(row);
      grid.for_columns(lanes, item, [&](int k, std::int64_t column) {
        const Real deviation = values[column] - mean[k];
        squares[k] += deviation * deviation;
      });
    }
    grid.for_columns(lanes, item, [&](int k, std::int64_t column) {
      if (partial == nullptr) {
        finish.from_batch(column, static_cast<Real>(grid.rows), mean[k], squares[k]);
      } else {
        Real* to = partial + grid.chunk(item) * 2 * grid.cols + column;
        to[0] = mean[k];
        to[grid.cols] = squares[k];
      }
    });
  }
};

template <class Real, class OnDevice>
struct MergeChunks {
  ColumnGrid<OnDevice> grid;
  const Real* partial;
  Finish<Real> finish;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t column) const {
    Real count = 0, mean = 0, squares = 0;
    for (std::int64_t chunk = 0; chunk < grid.chunks; ++chunk) {
      const Real* from = partial + chunk * 2 * grid.cols + column;
      const std::int64_t first = grid.first_row(chunk * grid.blocks);
      const auto rows = static_cast<Real>(grid.end_row(chunk * grid.blocks) - first);
      const Real total = count + rows, step = from[0] - mean;
      mean += step * (rows / total);
      squares += from[grid.cols] + step * step * (count * rows / total);
      count = total;
    }
    finish.from_batch(column, count, mean, squares);
  }
};

template <class Real>
struct FromRunning {
  Finish<Real> finish;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t column) const {
    finish.from_running(column);
  }
};

/// The gradient that reaches the norm: d_out, through dropout and ReLU where they followed.
template <class Real, bool Relu>
SLLMR_INLINE Real gradient_of_norm(const Real* d_out, const Real* relu_out, Real scale, std::int64_t column) {
  if constexpr (Relu) return relu_out[column] > 0 ? d_out[column] * scale : Real(0);
  return d_out[column];
}

template <class Real, bool Relu>
struct BackwardTerms {
  BatchNormBackward<Real> args;

  struct Row {
    const Real* x;
    const Real* relu_out;
    const Real* d_out;
    const Real* mean;
    const Real* inverse;
    Real scale;

    SLLMR_INLINE void operator()(std::int64_t c, Real* sums) const {
      const Real d = gradient_of_norm<Real, Relu>(d_out, relu_out, scale, c);
      sums[0] = d * ((x[c] - mean[c]) * inverse[c]);
      sums[1] = d;
    }
  };
  SLLMR_INLINE Row row(std::int64_t r) const {
    return {args.x.row(r),
            Relu ? args.relu_out.row(r) : nullptr,
            args.d_out.row(r),
            args.statistics.row(BatchNormRows::mean),
            args.statistics.row(BatchNormRows::inverse),
            args.dropout_scale};
  }
};

/// Items 0 .. rows - 1: rows of d_x. Item `rows`: the gradients of weight and bias.
template <class Real, bool Relu>
struct BackwardRow {
  BackwardTerms<Real, Relu> terms;
  Matrix<const Real> sums;  // [2 x cols]

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const BatchNormBackward<Real>& args = terms.args;
    const std::int64_t rows = args.x.rows, cols = args.x.cols;
    const Real* by_weight = sums.row(0);
    const Real* by_bias = sums.row(1);
    if (row == rows) {
      for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
        args.d_weight[c] = by_weight[c];
        args.d_bias[c] = by_bias[c];
      }
      return;
    }
    const auto at = terms.row(row);
    const Real* scale = args.statistics.row(BatchNormRows::scale);
    Real* to = args.d_x.row(row);
    const Real share = Real(1) / static_cast<Real>(rows);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
      const Real d = gradient_of_norm<Real, Relu>(at.d_out, at.relu_out, at.scale, c);
      const Real normalised = (at.x[c] - at.mean[c]) * at.inverse[c];
      to[c] = scale[c] * (d - share * (by_bias[c] + normalised * by_weight[c]));
    }
  }
};

template <class Real, bool Relu>
void backward(const Context& context, const BatchNormBackward<Real>& args) {
  const std::int64_t rows = args.x.rows, cols = args.x.cols;
  const BackwardTerms<Real, Relu> terms{args};
  const Tensor<Real> sums(context, 2, cols);
  column_sums(context, "batch_norm_backward_sums", rows, cols, terms,
              ColumnTargets<Real, 2>{{Matrix<Real>(sums).row(0), Matrix<Real>(sums).row(1)}});
  launch(context, "batch_norm_backward", rows + 1, BackwardRow<Real, Relu>{terms, sums});
}

template <class Real>
void run_here(const Context& context, const BatchNormStatistics<Real>& args) {
  const ColumnGrid<OnThisDevice> grid(args.x.rows, args.x.cols);
  const Finish<Real> finish{args.norm, args.statistics.data, args.x.cols};
  Tensor<Real> partial;
  if (grid.chunks > 1) partial = Tensor<Real>(context, grid.chunks * 2, grid.cols);
  launch(context, "batch_norm_statistics", grid.items(),
         ChunkStatistics<Real, OnThisDevice>{grid, args.x, partial.data(), finish});
  if (grid.chunks == 1) return;
  launch_each(context, "batch_norm_merge", grid.cols,
              MergeChunks<Real, OnThisDevice>{grid, partial.data(), finish});
}

template <class Real>
void run_here(const Context& context, const BatchNormRunning<Real>& args) {
  launch_each(context, "batch_norm_running", args.statistics.cols,
              FromRunning<Real>{{args.norm, args.statistics.data, args.statistics.cols}});
}

template <class Real>
void run_here(const Context& context, const BatchNormBackward<Real>& args) {
  if (args.relu_out.rows != 0) {
    backward<Real, true>(context, args);
  } else {
    backward<Real, false>(context, args);
  }
}

}  // namespace

SLLMR_KERNELS(BatchNormStatistics)
SLLMR_KERNELS(BatchNormRunning)
SLLMR_KERNELS(BatchNormBackward)

}  // namespace sllmr
