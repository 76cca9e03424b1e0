#include "models/layers/fm/fm.h"

#include "kernels/dense/combine.h"
#include "models/layers/fm/kernels.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
FactorizationMachine<Real>::FactorizationMachine(std::string name, int fields, int width)
    : name_(std::move(name)), fields_(fields), width_(width) {
  require(fields > 0 && width > 0, "layer '" + name_ + "': fields and width must be at least 1");
}

template <class Real>
Tensor<Real> FactorizationMachine<Real>::forward(const Context& context, const Tensor<Real>& x,
                                                 Saved* saved) const {
  require_width(name_, "input", x, static_cast<std::int64_t>(fields_) * width_);
  Tensor<Real> out(context, x.rows(), 1);
  run(context, FmForward<Real>{.x = x, .fields = fields_, .width = width_, .out = out});
  if (saved != nullptr) saved->x = x;
  return out;
}

template <class Real>
void FactorizationMachine<Real>::backward(const Context& context, const Saved& saved,
                                          const Tensor<Real>& d_out, const Tensor<Real>& d_x,
                                          InputGradient mode) const {
  require_shape(name_, "output's gradient", d_out, saved.x.rows(), 1);
  require_shape(name_, "input's gradient", d_x, saved.x.rows(), saved.x.cols());
  run(context, FmBackward<Real>{.x = saved.x,
                                .fields = fields_,
                                .width = width_,
                                .d_out = d_out,
                                .d_x = d_x,
                                .accumulate = mode == InputGradient::add});
}

template <class Real>
Tensor<Real> FactorizationMachine<Real>::sums(const Context& context, const Tensor<Real>& x) const {
  require_width(name_, "input", x, static_cast<std::int64_t>(fields_) * width_);
  const auto out = Tensor<Real>::zeros(context, x.rows(), width_);
  for (int f = 0; f < fields_; ++f) {
    run(context, AddTo<Real>{.x = x.columns(static_cast<std::int64_t>(f) * width_, width_), .to = out});
  }
  return out;
}

template class FactorizationMachine<float>;
template class FactorizationMachine<double>;

}  // namespace sllmr
