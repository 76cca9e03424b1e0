// What follows the matrix product of a layer, in one pass: scale, bias, ReLU, dropout; and its backward.
#pragma once

#include "kernels/dense/dropout_mask.h"

namespace sllmr {

/// out [rows x cols] = dropout(relu(x * scale + shift)), each part optional; out may be x itself.
template <class Real>
struct Epilogue {
  Matrix<const Real> x;
  const Real* scale = nullptr;  // [cols]; null: 1
  const Real* shift = nullptr;  // [cols]; null: 0
  bool relu = false;            // NaN stays NaN
  DropoutMask<Real> dropout = {};
  Matrix<Real> out;
};

/// Backward of dropout and ReLU: d_x = d_out * scale where out > 0, else 0. An element that dropout or the
/// ReLU made zero has no gradient either way, so no mask is needed; `scale` is the dropout's. d_x may be
/// d_out. d_bias [cols] gets the sums over the rows.
template <class Real>
struct ReluBackward {
  Matrix<const Real> d_out, out;
  Real scale;
  Matrix<Real> d_x;
  Real* d_bias;
};

}  // namespace sllmr
