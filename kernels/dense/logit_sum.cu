#include "kernels/dense/logit_sum.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

/// Item: one row.
template <class Real>
struct SumLogitsOfRow {
  SumLogits<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t r) const {
    Real sum = args.bias == nullptr ? Real(0) : args.bias[0];
    for (const Matrix<const Real>& term : args.terms.term) {
      for (std::int64_t c = 0; c < term.cols; ++c) sum += term.row(r)[c];
    }
    *args.out.row(r) = sum;
  }
};

template <class Real>
void run_here(const Context& context, const SumLogits<Real>& args) {
  launch_each(context, "sum_logits", args.out.rows, SumLogitsOfRow<Real>{args});
}

}  // namespace

SLLMR_KERNELS(SumLogits)

}  // namespace sllmr
