// The leaky ReLU.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// out [rows x cols] = x where x >= 0, else slope * x; out may be x itself. NaN stays NaN.
template <class Real>
struct LeakyRelu {
  Matrix<const Real> x;
  Real slope;
  Matrix<Real> out;
};

/// d <- d where out > 0, else slope * d, in place. `out` is forward's, of a slope above 0.
template <class Real>
struct LeakyReluBackward {
  Matrix<const Real> out;
  Real slope;
  Matrix<Real> d;
};

}  // namespace sllmr
