#include "kernels/layers/combine.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"
#include "kernels/layers/matrix.h"

namespace sllmr {

namespace {

template <class Real>
struct Concatenate {
  Matrix<Real> left, right, out;
  std::int64_t left_cols, right_cols;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    Real* to = out.row(row);
    const Real* first = left.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < left_cols; c += Lanes::size) to[c] = first[c];
    const Real* second = right.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < right_cols; c += Lanes::size) to[left_cols + c] = second[c];
  }
};

template <class Real>
struct AddTo {
  Matrix<Real> x, to;
  std::int64_t cols;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const Real* from = x.row(row);
    Real* sum = to.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) sum[c] += from[c];
  }
};

}  // namespace

template <class Real, class OnDevice>
void concatenate_on(OnDevice, const Context& context, const Tensor<Real>& left, const Tensor<Real>& right,
                    const Tensor<Real>& out) {
  launch(context, "concatenate", out.rows(),
         Concatenate<Real>{matrix(left), matrix(right), matrix(out), left.cols(), right.cols()});
}

template <class Real, class OnDevice>
void add_to_on(OnDevice, const Context& context, const Tensor<Real>& x, const Tensor<Real>& to) {
  launch(context, "add_to", x.rows(), AddTo<Real>{matrix(x), matrix(to), x.cols()});
}

#define SLLMR_INSTANTIATE(Real)                                                                        \
  template void concatenate_on(OnThisDevice, const Context&, const Tensor<Real>&, const Tensor<Real>&, \
                               const Tensor<Real>&);                                                   \
  template void add_to_on(OnThisDevice, const Context&, const Tensor<Real>&, const Tensor<Real>&);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
