// How cross networks rank.
#pragma once

#include "kernels/exec/tensor.h"

namespace sllmr {

/// Rows x0 that are sums of a user's part and an item's, for a cross network whose output is weighed by
/// out_weight into one number. Through one linear map of x0 alone that number depends on it:
///
///   taps(context, x0, out_weight)      is x0 taken through that map, [rows x taps],
///   forward_taps(context, rows, out)   writes the number, out [rows x 1], for rows whose taps are user +
///   items.
template <class Real>
struct CrossTaps {
  Tensor<Real> user;       // [1 x taps]
  Tensor<Real> items;      // [rows x taps]
  const Real* out_weight;  // [size]
};

}  // namespace sllmr
