// The logit of a backbone: the sum of what its parts give.
#pragma once

#include <initializer_list>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// Matrices of the same number of rows whose columns are summed.
template <class Real>
struct LogitTerms {
  static constexpr int kMax = 4;

  LogitTerms(std::initializer_list<Matrix<const Real>> parts) {
    require(parts.size() <= static_cast<std::size_t>(kMax), "LogitTerms: too many parts");
    int k = 0;
    for (const Matrix<const Real>& part : parts) term[k++] = part;
  }

  Matrix<const Real> term[kMax];  // of no columns where there is no part
};

/// out [n x 1] = the sum of all columns of all terms [n x ...], + bias[0] unless bias is null.
template <class Real>
struct SumLogits {
  LogitTerms<Real> terms;
  const Real* bias;
  Matrix<Real> out;
};

}  // namespace sllmr
