#include "kernels/dense/pass_variance.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/math.h"

namespace sllmr {

namespace {

/// Item: one row.
template <class Real>
struct AddPassOfRow {
  AddPass<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t r) const {
    const Real p = Real(1) / (Real(1) + exp_of(-*args.logits.row(r)));
    const bool first = args.pass == 0;
    const Real before = first ? Real(0) : *args.mean.row(r);
    const Real mean = before + (p - before) / static_cast<Real>(args.pass + 1);
    const Real share = Real(4) / static_cast<Real>(args.passes);
    const Real sum = (first ? Real(0) : *args.variance.row(r)) + share * (p - before) * (p - mean);
    *args.mean.row(r) = mean;
    *args.variance.row(r) = sum > 1 ? Real(1) : sum;  // rounding aside it never is
  }
};

template <class Real>
void run_here(const Context& context, const AddPass<Real>& args) {
  launch_each(context, "add_pass", args.logits.rows, AddPassOfRow<Real>{args});
}

}  // namespace

SLLMR_KERNELS(AddPass)

}  // namespace sllmr
