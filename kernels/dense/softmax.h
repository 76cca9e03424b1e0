// The softmax of a few numbers that one lane holds.
#pragma once

#include <cmath>

#include "kernels/exec/types.h"

namespace sllmr {

/// a[k] <- exp(a[k]) / sum over j of exp(a[j]), in place, k < n; n > 0. Without overflow, as the largest is
/// taken off first. NaN for all where one is NaN or +infinity.
template <class Real>
SLLMR_HD void softmax(Real* a, int n) {
  Real largest = a[0], sum = 0;
  for (int k = 1; k < n; ++k) largest = a[k] > largest ? a[k] : largest;
  for (int k = 0; k < n; ++k) {
    a[k] = std::exp(a[k] - largest);
    sum += a[k];
  }
  for (int k = 0; k < n; ++k) a[k] /= sum;
}

}  // namespace sllmr
