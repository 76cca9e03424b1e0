// Losses of one logit and their slopes by it.
#pragma once

#include <cmath>

#include "kernels/exec/loops.h"

namespace sllmr {

template <class Real>
struct LossAndSlopeOf {
  Real loss, slope;
};
using LossAndSlope = LossAndSlopeOf<float>;

/// -log sigmoid(x) = max(-x, 0) + log(1 + exp(-|x|)), which cannot overflow, from decay = exp(-|x|) and
/// log_rest = log(1 + decay): the caller chooses whose exp and log these are. (The quotient is negated, not
/// the numerator: a caller that wants -slope has it as it is, which saves the fused step on CUDA up to 8
/// registers.)
template <class Real>
SLLMR_INLINE LossAndSlopeOf<Real> log_sigmoid_loss(Real x, Real decay, Real log_rest) {
  return {(x > 0 ? Real(0) : -x) + log_rest, -((x > 0 ? decay : Real(1)) / (Real(1) + decay))};
}
/// By those of the library.
template <class Real>
SLLMR_HD LossAndSlopeOf<Real> log_sigmoid_loss(Real x) {
  const Real decay = std::exp(-std::fabs(x));
  return log_sigmoid_loss(x, decay, std::log1p(decay));
}

/// -t log p - (1 - t) log(1 - p), p = sigmoid(logit), of a target t in [0, 1].
template <class Real>
SLLMR_HD LossAndSlopeOf<Real> binary_cross_entropy(Real logit, Real target) {
  if (target == 0 || target == 1) {
    const Real sign = target == 1 ? Real(1) : Real(-1);
    LossAndSlopeOf<Real> x = log_sigmoid_loss(sign * logit);
    x.slope *= sign;
    return x;
  }
  const LossAndSlopeOf<Real> x = log_sigmoid_loss(logit);
  return {x.loss + (1 - target) * logit, x.slope + (1 - target)};
}

/// log(t / (1 - t)) of a score, kept within [0.01, 0.99].
SLLMR_HD inline float log_odds_of(float t) {
  const float kept = t < 0.01F ? 0.01F : t > 0.99F ? 0.99F : t;
  return std::log(kept / (1.0F - kept));
}

}  // namespace sllmr
