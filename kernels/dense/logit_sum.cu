#include "kernels/dense/logit_sum.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

/// Item: one row.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes, const SumLogits<Real>& args, std::int64_t r) {
  Real sum = args.bias == nullptr ? Real(0) : args.bias[0];
  for (const Matrix<const Real>& term : args.terms.term) {
    for (std::int64_t c = 0; c < term.cols; ++c) sum += term.row(r)[c];
  }
  *args.out.row(r) = sum;
}

}  // namespace

SLLMR_EACH_ITEM_KERNELS(SumLogits, "sum_logits", args.out.rows)

}  // namespace sllmr
