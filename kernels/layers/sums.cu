#include "kernels/layers/sums.h"

#include "kernels/exec/launch.h"
#include "kernels/layers/matrix.h"

namespace sllmr {

namespace {

/// Item: one row.
template <class Real>
struct SumLogits {
  LogitTerms<Real> terms;
  const Real* bias;
  Matrix<Real> out;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t r) const {
    Real sum = bias == nullptr ? Real(0) : bias[0];
    for (int k = 0; k < LogitTerms<Real>::kMax; ++k) {
      for (int c = 0; c < terms.cols[k]; ++c) sum += terms.data[k][r * terms.stride[k] + c];
    }
    *out.row(r) = sum;
  }
};

template <class Real>
struct AddRelu {
  Matrix<Real> a, b, out;
  std::int64_t cols;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t r) const {
    const Real* x = a.row(r);
    const Real* y = b.row(r);
    Real* to = out.row(r);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
      const Real sum = x[c] + y[c];
      to[c] = sum < 0 ? Real(0) : sum;
    }
  }
};

}  // namespace

template <class Real, class OnDevice>
void sum_logits_on(OnDevice, const Context& context, const LogitTerms<Real>& terms, const Real* bias,
                   const Tensor<Real>& out) {
  launch_each(context, "sum_logits", out.rows(), SumLogits<Real>{terms, bias, matrix(out)});
}

template <class Real, class OnDevice>
void add_relu_on(OnDevice, const Context& context, const Tensor<Real>& a, const Tensor<Real>& b,
                 const Tensor<Real>& out) {
  launch(context, "add_relu", out.rows(), AddRelu<Real>{matrix(a), matrix(b), matrix(out), out.cols()});
}

#define SLLMR_INSTANTIATE(Real)                                                                     \
  template void sum_logits_on(OnThisDevice, const Context&, const LogitTerms<Real>&, const Real*,   \
                              const Tensor<Real>&);                                                 \
  template void add_relu_on(OnThisDevice, const Context&, const Tensor<Real>&, const Tensor<Real>&, \
                            const Tensor<Real>&);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
