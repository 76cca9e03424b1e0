// DCNv2's cross network of full rank.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/layers/cross_taps.h"
#include "models/layers/linear.h"

namespace sllmr {

/// x_{l+1} = x0 * (W_l x_l + b_l) + x_l (Wang et al., 2021), x0 [rows x size]. Parameters "<name>.<l>.weight"
/// {size, size} and "<name>.<l>.bias" {size}, which start as those of a Linear (LinearInitial::standard).
template <class Real>
class CrossNetV2 {
 public:
  struct Saved {
    std::vector<Tensor<Real>> x;  // inputs of the layers
    std::vector<Tensor<Real>> u;  // W_l x_l + b_l
  };

  /// Throws Error for a size or a number of layers below 1.
  CrossNetV2(Parameters<Real>& parameters, const std::string& name, std::int64_t size, int layers);

  Tensor<Real> forward(const Context& context, const Tensor<Real>& x0, const Pass& pass, Saved* saved) const;
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

  /// For ranking, see CrossTaps.
  Tensor<Real> taps(const Context& context, const Tensor<Real>& x0, const Real* out_weight) const;
  void forward_taps(const Context& context, const CrossTaps<Real>& rows, const Tensor<Real>& out) const;

 private:
  std::string name_;
  std::int64_t size_;
  std::vector<Linear<Real>> layers_;
};

extern template class CrossNetV2<float>;
extern template class CrossNetV2<double>;

}  // namespace sllmr
