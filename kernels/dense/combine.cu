#include "kernels/dense/combine.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const Concatenate<Real>& args, std::int64_t row) {
  const std::int64_t left_cols = args.left.cols, right_cols = args.right.cols;
  Real* to = args.out.row(row);
  const Real* first = args.left.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < left_cols; c += Lanes::size) to[c] = first[c];
  const Real* second = args.right.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < right_cols; c += Lanes::size) to[left_cols + c] = second[c];
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const AddTo<Real>& args, std::int64_t row) {
  const std::int64_t cols = args.x.cols;
  const Real* from = args.x.row(row);
  Real* sum = args.to.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) sum[c] += from[c];
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const AddRelu<Real>& args, std::int64_t row) {
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

}  // namespace

SLLMR_ITEM_KERNELS(Concatenate, "concatenate", args.out.rows)
SLLMR_ITEM_KERNELS(AddTo, "add_to", args.x.rows)
SLLMR_ITEM_KERNELS(AddRelu, "add_relu", args.out.rows)

}  // namespace sllmr
