// What a training step sums up for the gate's step and for reports.
#pragma once

#include "kernels/exec/types.h"

namespace sllmr {

/// Most parameters of a rule; a rule that has more does not compile until this is raised.
inline constexpr int kMaxGateParams = 73;

/// Columns of a slot of accumulators: the gate's gradient, then sums over the slot's rows.
struct GateColumns {
  static constexpr int theta = 0;                // [kMaxGateParams]
  static constexpr int bucket = kMaxGateParams;  // [4 buckets, cold x tail][bucket_columns]
  static constexpr int bucket_columns = 4;       // (user, item) count, sums of alpha, alpha^2, pair's weight
  /// First column of the bucket of a user and an item.
  SLLMR_HD static constexpr int bucket_of(bool cold, bool tail) {
    return bucket + bucket_columns * ((cold ? 2 : 0) + (tail ? 1 : 0));
  }
  static constexpr int pairs = bucket + 4 * bucket_columns;  // LLM pairs
  static constexpr int pair_alpha = pairs + 1;               // sum of the pair's alpha
  static constexpr int pair_hinge = pairs + 2;               // sum of alpha * hinge
  static constexpr int active = pairs + 3;                   // pairs that pull the model
  static constexpr int pair_weight = pairs + 4;              // sum of their weights over lambda
  static constexpr int probes = pairs + 5;                   // probe pairs
  static constexpr int agreement = pairs + 6;                // sum of the probes' agreement
  static constexpr int rows = pairs + 7;                     // training rows
  static constexpr int loss = pairs + 8;                     // sum of the base loss
  /// Held-out probes without ties, by alpha: [reliability_bins][count, sum of alpha, how often the LLM is
  /// right].
  static constexpr int reliability = pairs + 9;
  static constexpr int reliability_bins = 10, reliability_columns = 3;
  /// First column of the bin of an alpha in [0, 1]; NaN is in the last.
  SLLMR_HD static constexpr int reliability_of(float alpha) {
    const float bin = alpha * static_cast<float>(reliability_bins);
    const int last = reliability_bins - 1;
    return reliability +
           reliability_columns * (bin < static_cast<float>(last) ? static_cast<int>(bin) : last);
  }
  static constexpr int used = reliability + reliability_bins * reliability_columns;
  static constexpr int stride = (used + 15) / 16 * 16;  // a multiple of the cache line: slots never share one
};

}  // namespace sllmr
