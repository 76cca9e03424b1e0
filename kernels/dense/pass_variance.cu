#include "kernels/dense/pass_variance.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/math.h"

namespace sllmr {

namespace {

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes, const AddPass<Real>& args, std::int64_t row) {
  const Real p = sigmoid_of(*args.logits.row(row));
  const bool first = args.pass == 0;
  const Real before = first ? Real(0) : *args.mean.row(row);
  const Real mean = before + (p - before) / static_cast<Real>(args.pass + 1);
  const Real share = Real(4) / static_cast<Real>(args.passes);
  const Real sum = (first ? Real(0) : *args.variance.row(row)) + share * (p - before) * (p - mean);
  *args.mean.row(row) = mean;
  *args.variance.row(row) = sum > 1 ? Real(1) : sum;  // rounding aside it never is
}

}  // namespace

SLLMR_EACH_ITEM_KERNELS(AddPass, "add_pass", args.logits.rows)

}  // namespace sllmr
