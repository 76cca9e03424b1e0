// DCNv2's cross network of low-rank experts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/layers/cross_mix/kernels.h"
#include "models/layers/cross_taps.h"
#include "models/layers/parameters.h"

namespace sllmr {

struct CrossMixOptions {
  int layers = 2, experts = 4, rank = 4;
};

/// x_{l+1} = x_l + sum over experts e of G_e(x_l) x0 * (U_e tanh(C_e tanh(V_e^T x_l)) + b_l), with G the
/// softmax over the experts of a gate that all layers share (Wang et al., 2021, section 3.4). Parameters of
/// layer l, with K experts of rank r: "<name>.<l>.u" and "<name>.<l>.v" {K, size, r}, "<name>.<l>.c" {K, r,
/// r}, all ~ N(0, 1), and
/// "<name>.<l>.bias" {size} = 0; the gate: "<gate>.weight" {K, size} and "<gate>.bias" {K} as a Linear's.
///
/// The gate sums to 1, so the layer is x_l + x0 * (U h + b) with U = [U_0 .. U_{K-1}] and h = [G_e core_e]:
/// one matrix product for V and the gate and one for U, whatever the number of experts.
template <class Real>
class CrossNetMix {
 public:
  struct Saved {
    struct Layer {
      Tensor<Real> x;      // input
      Tensor<Real> inner;  // [rows x K r + K]: tanh(V^T x), then the gate
      Tensor<Real> core;   // [rows x K r]: tanh(C inner)
      Tensor<Real> mixed;  // [rows x K r]: gate * core
      Tensor<Real> u;      // [rows x size]: U mixed + b
    };
    Tensor<Real> packed;
    std::vector<Layer> layers;
  };

  /// Throws Error for a size, rank or number of experts below 1, and for fewer than 1 or more than 8 layers.
  CrossNetMix(Parameters<Real>& parameters, const std::string& name, const std::string& gate,
              std::int64_t size, const CrossMixOptions& options);

  Tensor<Real> forward(const Context& context, const Tensor<Real>& x0, const Pass& pass, Saved* saved) const;
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

  /// For ranking, see CrossTaps.
  Tensor<Real> taps(const Context& context, const Tensor<Real>& x0, const Real* out_weight) const;
  void forward_taps(const Context& context, const CrossTaps<Real>& rows, const Tensor<Real>& out) const;

 private:
  struct Layer {
    int u, v, c, bias;
  };
  CrossExperts<Real> view() const;

  std::string name_;
  const Parameters<Real>* parameters_;
  std::int64_t size_;
  CrossMixOptions options_;
  std::vector<Layer> layers_;
  int gate_weight_, gate_bias_;
};

extern template class CrossNetMix<float>;
extern template class CrossNetMix<double>;

}  // namespace sllmr
