// The compressed interaction network of xDeepFM (Lian et al., KDD 2018).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/exec/tensor.h"
#include "models/layers/cin/kernels.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// Layer k: X^k = relu(W_k Z + b_k) with Z_(h, m) = X^(k-1)_h * X^0_m, products by dimension, X^0 the fields'
/// vectors. Of every layer but the last, the first half of the channels feeds the next one and the second
/// half is pooled; of the last one all are. Pooling sums over the dimensions.
template <class Real>
class Cin {
 public:
  struct Saved {
    Tensor<Real> x;
    Tensor<Real> y;                    // all layers' outputs, tile by tile
    std::vector<Tensor<Real>> packed;  // weights as CinPackWeights packs them
  };

  /// Adds "<name>.<k>.weight" {sizes[k], channels below * fields}, column h * fields + m for the pair (h, m),
  /// from N(0, 2 / (in + out)), and "<name>.<k>.bias", from U(-1 / sqrt(in), 1 / sqrt(in)). Throws Error
  /// for an extent below 1, and for an odd size before the last.
  Cin(Parameters<Real>& parameters, const std::string& name, int fields, int width,
      const std::vector<int>& sizes);

  /// The number of pooled channels.
  int outputs() const { return outputs_; }
  /// x [n x fields * width], possibly a slice of columns, to [n x outputs()]: layer by layer.
  /// `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass& pass, Saved* saved) const;
  /// The gradient of x; d_out [n x outputs()]. Rows without a
  /// gradient cost next to nothing on the CPU where all rows of their tile have none: two where the width is
  /// 32.
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

 private:
  struct Layer {
    int weight, bias;  // parts
    CinPairs pairs;
    int out, pooled_from;             // channels; which of them are pooled
    int first_channel, first_output;  // where its own begin among those of all layers
    std::int64_t first_weight;        // the same of packed weights
  };

  std::string name_;
  const Parameters<Real>* parameters_;
  int fields_, width_;
  std::vector<Layer> layers_;
  int outputs_ = 0;
  int channels_ = 0;              // of all layers
  std::int64_t packed_size_ = 0;  // of all layers' weights
  int max_stride_ = 0;            // of packed weights
  int max_channels_ = 0;          // of a layer, or below it
};

extern template class Cin<float>;
extern template class Cin<double>;

}  // namespace sllmr
