// Losses of one logit and their slopes by it.
#pragma once

#include <cmath>

#include "kernels/exec/types.h"

namespace sllmr {

struct LossAndSlope {
  float loss, slope;
};

/// -log sigmoid(x), without overflow.
SLLMR_HD inline LossAndSlope log_sigmoid_loss(float x) {
  const float decay = std::exp(-std::fabs(x));
  return {(x > 0 ? 0.0F : -x) + std::log1p(decay), -(x > 0 ? decay : 1.0F) / (1.0F + decay)};
}

/// -t log p - (1 - t) log(1 - p), p = sigmoid(logit), of a target t in [0, 1].
SLLMR_HD inline LossAndSlope binary_cross_entropy(float logit, float target) {
  if (target == 0.0F || target == 1.0F) {
    const float sign = target == 1.0F ? 1.0F : -1.0F;
    LossAndSlope x = log_sigmoid_loss(sign * logit);
    x.slope *= sign;
    return x;
  }
  const LossAndSlope x = log_sigmoid_loss(logit);
  return {x.loss + (1.0F - target) * logit, x.slope + (1.0F - target)};
}

/// log(t / (1 - t)) of a score, kept within [0.01, 0.99].
SLLMR_HD inline float log_odds_of(float t) {
  const float kept = t < 0.01F ? 0.01F : t > 0.99F ? 0.99F : t;
  return std::log(kept / (1.0F - kept));
}

}  // namespace sllmr
