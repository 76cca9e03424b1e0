// Batch normalisation of columns: statistics, the map that they come to, and its backward.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// What a batch norm owns, [cols] each. `offset` (null: 0) belongs to the columns' values without being in x:
/// the bias of the layer below.
template <class Real>
struct BatchNormView {
  static constexpr Real kEpsilon = Real(1e-5);  // added to the variance
  static constexpr Real kMomentum = Real(0.1);  // of the running statistics
  const Real* weight;
  const Real* bias;
  Real* running_mean;
  Real* running_var;
  const Real* offset = nullptr;
};

/// Rows of the statistics [count x cols]: the batch's mean without the offset, 1 / sqrt(variance + epsilon),
/// and the map that both come to, y = x * scale + shift.
struct BatchNormRows {
  static constexpr int mean = 0, inverse = 1, scale = 2, shift = 3, count = 4;
};

/// statistics [BatchNormRows::count x cols] of x [rows x cols], rows >= 2, and the step of the running ones.
/// Deviations are taken from the mean of their chunk of rows and chunks merged by Chan's formula, so large
/// means cancel nothing.
template <class Real>
struct BatchNormStatistics {
  Matrix<const Real> x;
  BatchNormView<Real> norm;
  Matrix<Real> statistics;
};

/// The same from the running ones, which are only read.
template <class Real>
struct BatchNormRunning {
  BatchNormView<Real> norm;
  Matrix<Real> statistics;
};

/// d_x [rows x cols], which may be d_out, and the gradients of weight and bias, given BatchNormStatistics'
/// result. Where a ReLU and dropout followed, relu_out [rows x cols] is their result and `dropout_scale` the
/// dropout's; else it is empty.
template <class Real>
struct BatchNormBackward {
  Matrix<const Real> x, statistics;
  Matrix<const Real> relu_out = {};
  Real dropout_scale = 1;
  Matrix<const Real> d_out;
  Matrix<Real> d_x;
  Real* d_weight;  // [cols]
  Real* d_bias;    // [cols]
};

}  // namespace sllmr
