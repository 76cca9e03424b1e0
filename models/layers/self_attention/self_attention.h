// Multi-head self-attention over the fields of a row, as AutoInt uses it.
#pragma once

#include <string>

#include "kernels/exec/tensor.h"
#include "models/layers/dropout.h"
#include "models/layers/linear.h"
#include "models/layers/parameters.h"
#include "models/layers/self_attention/kernels.h"

namespace sllmr {

/// O = concat over heads of (dropout(softmax(Q K^T / sqrt(width / heads))) V) W_o^T + b_o with [Q K V] =
/// X W^T + b, X the `fields` tokens of a row (Vaswani et al., NeurIPS 2017; the form and the initial values
/// of PyTorch's nn.MultiheadAttention).
template <class Real>
class SelfAttention {
 public:
  struct Saved {
    Tensor<Real> x, qkv;
    Tensor<Real> weights;  // as AttentionForward stores them
    Real dropout_scale = 1;
    typename Linear<Real>::Saved out;
  };

  /// Adds "<name>.in_proj.weight" {3 * width, width}, "<name>.in_proj.bias", "<name>.out_proj.weight" {width,
  /// width} and "<name>.out_proj.bias". Throws Error for an extent below 1, for heads that do not divide the
  /// width, and for a dropout outside [0, 1).
  SelfAttention(Parameters<Real>& parameters, const std::string& name, int fields, int width, int heads,
                double dropout);

  int width() const { return width_; }
  /// x [n * fields x width], a row's tokens one after another, to the same shape. `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass& pass, Saved* saved) const;
  /// Gradients of the parameters; returns that of x.
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

  /// For ranking, where a row's tokens are a user's and an item's: what one side's tokens x [n * tokens x
  /// width], and what is to be added to their output, `residual` [n * tokens x width], come to by themselves.
  AttentionSide<Real> side(const Context& context, const Tensor<Real>& x, const Tensor<Real>& residual,
                           int tokens) const;
  /// out [n x 1] = sum over the tokens, one user's before those of each of n items, of weight_i . relu(O_i +
  /// residual_i); weight [fields * width], in that order.
  void rank(const Context& context, const AttentionSide<Real>& user, const AttentionSide<Real>& items,
            const Real* weight, const Tensor<Real>& out) const;

 private:
  AttentionShape shape(int tokens) const { return {tokens, heads_, width_ / heads_}; }

  std::string name_;
  const Parameters<Real>* parameters_;
  int fields_, width_, heads_;
  int weight_, bias_;  // parts of in_proj
  Dropout<Real> dropout_;
  Linear<Real> out_proj_;
};

extern template class SelfAttention<float>;
extern template class SelfAttention<double>;

}  // namespace sllmr
