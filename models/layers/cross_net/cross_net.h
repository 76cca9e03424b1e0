// DCN's cross network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/layers/cross_net/kernels.h"
#include "models/layers/cross_taps.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// x_{l+1} = x0 (x_l . w_l) + b_l + x_l (Wang et al., 2017), x0 [rows x size]. Parameters "<name>.<l>.weight"
/// ~ N(0, 1) and "<name>.<l>.bias" = 0, both {size}.
template <class Real>
class CrossNet {
 public:
  struct Saved {
    Tensor<Real> x0, betas, products;
  };

  /// Throws Error for a size below 1 and for fewer than 1 or more than 8 layers.
  CrossNet(Parameters<Real>& parameters, const std::string& name, std::int64_t size, int layers);

  Tensor<Real> forward(const Context& context, const Tensor<Real>& x0, const Pass& pass, Saved* saved) const;
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

  /// For ranking, see CrossTaps.
  Tensor<Real> taps(const Context& context, const Tensor<Real>& x0, const Real* out_weight) const;
  void forward_taps(const Context& context, const CrossTaps<Real>& rows, const Tensor<Real>& out) const;

 private:
  CrossVectors<Real> view() const;

  std::string name_;
  const Parameters<Real>* parameters_;
  std::int64_t size_;
  std::vector<int> weights_, biases_;  // parts, layer by layer
};

extern template class CrossNet<float>;
extern template class CrossNet<double>;

}  // namespace sllmr
