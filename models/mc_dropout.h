// Monte Carlo dropout: how uncertain a backbone is, from passes that drop different units.
#pragma once

#include <cstdint>

#include "models/backbone.h"

namespace sllmr {

/// Which masks are drawn: functions of these numbers alone, none of them one of training.
struct McDraws {
  std::uint64_t seed = 0;
  std::uint32_t step = 0, group = 0;  // group: batches of one step
  int passes = 0;
};

/// For every row of the batch 4 times the variance of p = sigmoid(logit) over the passes, each with dropout
/// masks of its own and all else as without training: Gal and Ghahramani (ICML 2016), section 4. [rows x 1],
/// in [0, 1]; 0 for a backbone without dropout. The backbone's running statistics stay as they are.
Tensor<float> mc_dropout_variance(const Context& context, const Backbone<float>& backbone,
                                  const FeatureBatch& batch, const McDraws& draws);

}  // namespace sllmr
