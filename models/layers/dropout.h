// Inverted dropout.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/dense/dropout_mask.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// y = x * m / (1 - p), where m is 0 with probability p, else 1; y = x unless pass.drops().
/// Masks are functions of (pass.seed, pass.step, layer, row, column).
template <class Real>
class Dropout {
 public:
  struct Saved {
    Tensor<std::uint8_t> kept;  // [rows x cols]; empty where nothing was dropped
    Real scale = 1;
  };

  /// `layer` tells the masks of a model's layers apart: use the index of a parameter of the layer that it
  /// serves. Throws Error unless 0 <= p < 1.
  Dropout(std::string name, double p, int layer);

  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass& pass, Saved* saved) const;
  /// Returns the gradient of x; it may lie in d_out's memory.
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

  /// The pass's mask, for layers that join dropout to something else; not active() unless pass.drops().
  DropoutMask<Real> mask(const Pass& pass) const;

 private:
  std::string name_;
  double p_;
  std::uint32_t layer_;
};

extern template class Dropout<float>;
extern template class Dropout<double>;

}  // namespace sllmr
