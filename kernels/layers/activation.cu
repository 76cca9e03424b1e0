#include "kernels/layers/activation.h"

#include "kernels/exec/launch.h"
#include "kernels/layers/column_sums.h"
#include "kernels/layers/matrix.h"

namespace sllmr {

namespace {

template <class Real, bool Scale, bool Shift, bool Relu, bool Dropout>
struct ApplyEpilogue {
  Matrix<Real> x, out;
  std::int64_t cols;
  Epilogue<Real> epilogue;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t row) const {
    const Real* from = x.row(row);
    Real* to = out.row(row);
    if constexpr (Dropout) {
      epilogue.dropout.for_row(lanes, row, cols, [&](std::int64_t column, bool keep) {
        to[column] = keep ? value(from, column) * epilogue.dropout.scale : Real(0);
      });
    } else {
      SLLMR_ROW_LOOP
      for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) to[c] = value(from, c);
    }
  }

  SLLMR_INLINE Real value(const Real* from, std::int64_t column) const {
    Real y = from[column];
    if constexpr (Scale) y *= epilogue.scale[column];
    if constexpr (Shift) y += epilogue.shift[column];
    if constexpr (Relu) y = y < 0 ? Real(0) : y;
    return y;
  }
};

template <class Real>
struct ReluBackward {
  Matrix<Real> d_out, out, d_x;
  Real scale;

  struct Row {
    const Real* d_out;
    const Real* out;
    Real* d_x;
    Real scale;

    SLLMR_INLINE void operator()(std::int64_t column, Real* sums) const {
      const Real d = out[column] > 0 ? d_out[column] * scale : Real(0);
      d_x[column] = d;
      sums[0] = d;
    }
  };
  SLLMR_INLINE Row row(std::int64_t r) const { return {d_out.row(r), out.row(r), d_x.row(r), scale}; }
};

/// Calls action(std::bool_constant<flag>()).
template <class Action>
void with_constant(bool flag, const Action& action) {
  if (flag) {
    action(std::true_type());
  } else {
    action(std::false_type());
  }
}

}  // namespace

template <class Real, class OnDevice>
void apply_epilogue_on(OnDevice, const Context& context, const Tensor<Real>& x,
                       const Epilogue<Real>& epilogue, const Tensor<Real>& out) {
  with_constant(epilogue.scale != nullptr, [&](auto scale) {
    with_constant(epilogue.shift != nullptr, [&](auto shift) {
      with_constant(epilogue.relu, [&](auto relu) {
        with_constant(epilogue.dropout.active(), [&](auto dropout) {
          launch(context, "epilogue", x.rows(),
                 ApplyEpilogue<Real, scale.value, shift.value, relu.value, dropout.value>{
                     matrix(x), matrix(out), x.cols(), epilogue});
        });
      });
    });
  });
}

template <class Real, class OnDevice>
void relu_backward_on(OnDevice, const Context& context, const Tensor<Real>& d_out, const Tensor<Real>& out,
                      Real scale, const Tensor<Real>& d_x, Real* d_bias) {
  column_sums(context, "relu_backward", out.rows(), out.cols(),
              ReluBackward<Real>{matrix(d_out), matrix(out), matrix(d_x), scale},
              ColumnTargets<Real, 1>{{d_bias}});
}

#define SLLMR_INSTANTIATE(Real)                                                                             \
  template void apply_epilogue_on(OnThisDevice, const Context&, const Tensor<Real>&, const Epilogue<Real>&, \
                                  const Tensor<Real>&);                                                     \
  template void relu_backward_on(OnThisDevice, const Context&, const Tensor<Real>&, const Tensor<Real>&,    \
                                 Real, const Tensor<Real>&, Real*);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
