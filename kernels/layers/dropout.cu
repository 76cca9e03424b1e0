#include "kernels/layers/dropout.h"

#include "kernels/exec/launch.h"
#include "kernels/layers/matrix.h"

namespace sllmr {

namespace {

template <class Real>
struct Drop {
  Matrix<Real> x, out;
  Matrix<std::uint8_t> kept;
  std::int64_t cols;
  DropoutMask<Real> mask;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const Real* from = x.row(row);
    Real* to = out.row(row);
    if (kept.data == nullptr) {
      mask.for_row(lanes, row, cols,
                   [&](std::int64_t c, bool keep) { to[c] = keep ? from[c] * mask.scale : Real(0); });
      return;
    }
    std::uint8_t* flags = kept.row(row);
    mask.for_row(lanes, row, cols, [&](std::int64_t c, bool keep) {
      to[c] = keep ? from[c] * mask.scale : Real(0);
      flags[c] = keep ? 1 : 0;
    });
  }
};

template <class Real>
struct DropBackward {
  Matrix<Real> d_out;
  Matrix<std::uint8_t> kept;
  std::int64_t cols;
  Real scale;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    Real* d = d_out.row(row);
    const std::uint8_t* flags = kept.row(row);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) {
      d[c] = flags[c] != 0 ? d[c] * scale : Real(0);
    }
  }
};

}  // namespace

template <class Real, class OnDevice>
void drop_on(OnDevice, const Context& context, const Tensor<Real>& x, const DropoutMask<Real>& mask,
             const Tensor<Real>& out, const Tensor<std::uint8_t>& kept) {
  launch(context, "drop", x.rows(), Drop<Real>{matrix(x), matrix(out), matrix(kept), x.cols(), mask});
}

template <class Real, class OnDevice>
void drop_backward_on(OnDevice, const Context& context, const Tensor<Real>& d_out,
                      const Tensor<std::uint8_t>& kept, Real scale) {
  launch(context, "drop_backward", d_out.rows(),
         DropBackward<Real>{matrix(d_out), matrix(kept), d_out.cols(), scale});
}

#define SLLMR_INSTANTIATE(Real)                                                                      \
  template void drop_on(OnThisDevice, const Context&, const Tensor<Real>&, const DropoutMask<Real>&, \
                        const Tensor<Real>&, const Tensor<std::uint8_t>&);                           \
  template void drop_backward_on(OnThisDevice, const Context&, const Tensor<Real>&,                  \
                                 const Tensor<std::uint8_t>&, Real);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
