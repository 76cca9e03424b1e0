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
  static constexpr int bucket_columns = 3;       // (user, item) count, sum of alpha, sum of alpha^2
  /// First column of the bucket of a user and an item.
  SLLMR_HD static constexpr int bucket_of(bool cold, bool tail) {
    return bucket + bucket_columns * ((cold ? 2 : 0) + (tail ? 1 : 0));
  }
  static constexpr int pairs = bucket + 4 * bucket_columns;  // LLM pairs
  static constexpr int pair_alpha = pairs + 1;               // sum of the pair's alpha
  static constexpr int pair_hinge = pairs + 2;               // sum of alpha * hinge
  static constexpr int active = pairs + 3;                   // pairs with a positive hinge
  static constexpr int probes = pairs + 4;                   // probe pairs
  static constexpr int agreement = pairs + 5;                // sum of the probes' agreement
  static constexpr int rows = pairs + 6;                     // training rows
  static constexpr int loss = pairs + 7;                     // sum of the base loss
  static constexpr int used = pairs + 8;
  static constexpr int stride = (used + 15) / 16 * 16;  // a multiple of the cache line: slots never share one
};

}  // namespace sllmr
