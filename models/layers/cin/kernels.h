// The steps of the compressed interaction network (xDeepFM: Lian et al., KDD 2018) around its matrix
// products. A tile is a few samples; its matrices are [channels x columns], without gaps, one column for each
// dimension of each sample, so that all products of channels are products of long contiguous rows.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// The products z of one layer, one row each: X_h * X0_m for every channel h of the layer below and every
/// field m. In the first layer X is X0 itself, and z_hm = z_mh is kept once, for h <= m. One more row, of
/// ones, makes the bias a column of the weights.
struct CinPairs {
  int hidden = 0, fields = 0;
  bool symmetric = false;

  SLLMR_HD constexpr int count() const { return symmetric ? fields * (fields + 1) / 2 : hidden * fields; }
  SLLMR_HD constexpr int first(int h) const { return symmetric ? h : 0; }
  /// The row of pair (h, m), m >= first(h).
  SLLMR_HD constexpr int row(int h, int m) const {
    return symmetric ? h * fields - h * (h - 1) / 2 + m - h : h * fields + m;
  }
  /// Distance between rows of packed weights: all pairs and the bias, to a multiple of 16 elements.
  SLLMR_HD constexpr int stride() const { return (count() + 1 + 15) / 16 * 16; }
};

/// x0 from rows of samples, whose fields are vectors of `width`, one beside the other.
template <class Real>
struct CinLoad {
  Matrix<const Real> x;  // [samples x fields * width]
  int width;
  Matrix<Real> x0;  // [fields x samples * width]
};

/// Rows of samples from x0.
template <class Real>
struct CinStore {
  Matrix<const Real> x0;  // [fields x samples * width]
  int width;
  Matrix<Real> x;  // [samples x fields * width]
};

/// z from hidden and x0; its last row is ones.
template <class Real>
struct CinProducts {
  CinPairs pairs;
  Matrix<const Real> hidden;  // [hidden x columns]
  Matrix<const Real> x0;      // [fields x columns]
  Matrix<Real> z;             // [count() + 1 x columns]
};

/// Writes d_hidden and adds to d_x0. For symmetric pairs everything is added to d_x0, and d_hidden is not
/// used.
template <class Real>
struct CinProductsBackward {
  CinPairs pairs;
  Matrix<const Real> hidden, x0;
  Matrix<const Real> d_z;  // [count() x columns]
  Matrix<Real> d_hidden;   // [hidden x columns]
  Matrix<Real> d_x0;       // [fields x columns]
};

/// y = max(y, 0); pooled = the sums over the dimensions of y's channels from `pooled_from` on.
template <class Real>
struct CinActivate {
  int pooled_from, width;
  Matrix<Real> y;       // [out x samples * width]
  Matrix<Real> pooled;  // [samples x out - pooled_from]
};

/// d_y from y, forward's result: where y > 0, the gradient of the channel's sum if it is pooled, else that of
/// the layer above.
template <class Real>
struct CinActivateBackward {
  int pooled_from, width;
  Matrix<const Real> y;         // [out x samples * width]
  Matrix<const Real> d_pooled;  // [samples x out - pooled_from]
  Matrix<const Real> d_hidden;  // [pooled_from x samples * width]
  Matrix<Real> d_y;             // [out x samples * width]
};

/// packed: a column for each pair (for symmetric pairs the sum of the two weights that meet z_hm), then the
/// bias. What follows it in a row is left alone.
template <class Real>
struct CinPackWeights {
  CinPairs pairs;
  Matrix<const Real> weight;  // [out x hidden * fields]
  const Real* bias;           // [out]
  Matrix<Real> packed;        // [out x stride()]
};

/// The gradients of weight and bias from those of packed weights, of which there are several parts: their sum
/// is left in the first.
template <class Real>
struct CinUnpackGradients {
  CinPairs pairs;
  Matrix<Real> d_packed;  // [parts x out * stride()]
  Matrix<Real> d_weight;  // [out x hidden * fields]
  Real* d_bias;           // [out]
};

}  // namespace sllmr
