// How far the predictions of several passes with dropout lie apart.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// Takes pass number `pass` < `passes` into the running mean and variance (Welford, 1962) of p =
/// sigmoid(logit), [rows x 1] each, which the first pass, number 0, starts. After the last one `variance` is
/// 4 times the biased variance of p over the passes: in [0, 1], and 0 where they agree. NaN stays NaN.
template <class Real>
struct AddPass {
  Matrix<const Real> logits;
  int pass, passes;
  Matrix<Real> mean, variance;
};

}  // namespace sllmr
