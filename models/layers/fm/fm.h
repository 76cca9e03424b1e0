// Factorisation machine: the products of all pairs of fields.
#pragma once

#include <string>

#include "kernels/exec/tensor.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// y_r = sum over f < g of <x_rf, x_rg> for `fields` vectors of `width` a row (Rendle, ICDM 2010). No
/// parameters. With two fields it is matrix factorisation.
template <class Real>
class FactorizationMachine {
 public:
  struct Saved {
    Tensor<Real> x;
  };

  /// Throws Error for an extent below 1.
  FactorizationMachine(std::string name, int fields, int width);

  /// x [n x fields * width] to [n x 1]. `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, Saved* saved) const;
  /// The gradient of x into d_x, from d_out [n x 1].
  void backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out,
                const Tensor<Real>& d_x, InputGradient mode) const;

  /// The sums of a row's vectors, [n x width]. Where x and z have different fields, the others being zero,
  /// forward(x + z) = forward(x) + forward(z) + <sums(x), sums(z)>.
  Tensor<Real> sums(const Context& context, const Tensor<Real>& x) const;

 private:
  std::string name_;
  int fields_, width_;
};

extern template class FactorizationMachine<float>;
extern template class FactorizationMachine<double>;

}  // namespace sllmr
