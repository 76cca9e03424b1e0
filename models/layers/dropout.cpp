#include "models/layers/dropout.h"

#include <utility>

#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
Dropout<Real>::Dropout(std::string name, double p, int layer)
    : name_(std::move(name)), p_(p), layer_(static_cast<std::uint32_t>(layer)) {
  require(p >= 0 && p <= kMostDropout,
          "layer '" + name_ + "': dropout is " + std::to_string(p) + "; it must be at least 0 and below 1");
  require(layer >= 0 && layer < (1 << 24), "layer '" + name_ + "': its mask's number is out of range");
}

template <class Real>
DropoutMask<Real> Dropout<Real>::mask(const Pass& pass) const {
  return pass.drops() ? DropoutMask<Real>(p_, pass.seed, pass.step, layer_) : DropoutMask<Real>();
}

template <class Real>
Tensor<Real> Dropout<Real>::forward(const Context& context, const Tensor<Real>& x, const Pass& pass,
                                    Saved* saved) const {
  const DropoutMask<Real> of_pass = mask(pass);
  if (saved != nullptr) *saved = {};
  if (!of_pass.active()) return x;
  Tensor<Real> y(context, x.rows(), x.cols());
  Tensor<std::uint8_t> kept;
  if (saved != nullptr) {
    kept = Tensor<std::uint8_t>(context, x.rows(), x.cols());
    *saved = {kept, of_pass.scale};
  }
  run(context, Drop<Real>{.x = x, .mask = of_pass, .out = y, .kept = kept});
  return y;
}

template <class Real>
Tensor<Real> Dropout<Real>::backward(const Context& context, const Saved& saved,
                                     const Tensor<Real>& d_out) const {
  if (saved.kept.size() == 0) return d_out;
  require_shape(name_, "output's gradient", d_out, saved.kept.rows(), saved.kept.cols());
  run(context, DropBackward<Real>{.d_out = d_out, .kept = saved.kept, .scale = saved.scale});
  return d_out;
}

template class Dropout<float>;
template class Dropout<double>;

}  // namespace sllmr
