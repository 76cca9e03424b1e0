#include "kernels/dense/combine.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real>
struct ConcatenateRow {
  Concatenate<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const std::int64_t left_cols = args.left.cols, right_cols = args.right.cols;
    Real* to = args.out.row(row);
    const Real* first = args.left.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < left_cols; c += Lanes::size) to[c] = first[c];
    const Real* second = args.right.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < right_cols; c += Lanes::size) to[left_cols + c] = second[c];
  }
};

template <class Real>
struct AddToRow {
  AddTo<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const std::int64_t cols = args.x.cols;
    const Real* from = args.x.row(row);
    Real* sum = args.to.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) sum[c] += from[c];
  }
};

template <class Real>
struct AddReluRow {
  AddRelu<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const std::int64_t cols = args.out.cols;
    const Real* x = args.a.row(row);
    const Real* y = args.b.row(row);
    Real* to = args.out.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
      const Real sum = x[c] + y[c];
      to[c] = sum < 0 ? Real(0) : sum;
    }
  }
};

template <class Real>
void run_here(const Context& context, const Concatenate<Real>& args) {
  launch(context, "concatenate", args.out.rows, ConcatenateRow<Real>{args});
}

template <class Real>
void run_here(const Context& context, const AddTo<Real>& args) {
  launch(context, "add_to", args.x.rows, AddToRow<Real>{args});
}

template <class Real>
void run_here(const Context& context, const AddRelu<Real>& args) {
  launch(context, "add_relu", args.out.rows, AddReluRow<Real>{args});
}

}  // namespace

SLLMR_KERNELS(Concatenate)
SLLMR_KERNELS(AddTo)
SLLMR_KERNELS(AddRelu)

}  // namespace sllmr
