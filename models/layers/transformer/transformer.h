// A causal transformer of few, narrow tokens, in the form of LLaMA (Touvron et al. 2023) as LLM-CF has it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/exec/tensor.h"
#include "models/layers/parameters.h"
#include "models/layers/transformer/kernels.h"

namespace sllmr {

struct TransformerOptions {
  int tokens = 13;  // of a sequence
  int width = 32;   // of a token
  int heads = 2;
  int blocks = 2;
};

/// Blocks y = x + attention(norm(x)), out = y + swiglu(norm(y)), and a last norm: RMSNorm with eps = 1e-5;
/// causal attention with rotary positions; SwiGLU of 2/3 of 2 `width`s, rounded up to a multiple of `width`.
/// No biases, no dropout. Parameters of block l: "<name>.<l>.attention_norm" {width}, "<name>.<l>.qkv"
/// {3 * width, width}, "<name>.<l>.attention_out" {width, width}, "<name>.<l>.feed_norm" {width},
/// "<name>.<l>.feed_in" {2 * hidden, width}, "<name>.<l>.feed_out" {width, hidden}, each from U(+-1 /
/// sqrt(in)) or, with xavier, from N(0, 2 / (in + out)) for the products it is made of, norms from 1; then
/// "<name>.norm".
template <class Real>
class Transformer {
 public:
  struct Saved {
    struct Block {
      Tensor<Real> x, attention_scale, normed, qkv, weights, attended;
      Tensor<Real> y, feed_scale, feed_normed, feed, gated;
    };
    std::vector<Block> blocks;
    Tensor<Real> x, scale;
  };

  /// Throws Error for a head of an odd width, or heads that do not divide the tokens' width.
  Transformer(const Context& context, Parameters<Real>& parameters, const std::string& name,
              const TransformerOptions& options, bool xavier);

  int tokens() const { return options_.tokens; }
  /// x [sequences * tokens x width] to the same shape. `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const PresentTokens& present,
                       Saved* saved) const;
  /// Gradients of the parameters; returns that of x.
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

 private:
  struct Block {
    int attention_norm, qkv, attention_out, feed_norm, feed_in, feed_out;
  };

  CausalShape shape() const { return {options_.tokens, options_.heads, options_.width / options_.heads}; }
  Matrix<const Real> turns() const { return {turns_.data(), options_.tokens, shape().head_width}; }
  Tensor<Real> norm(const Context& context, const Tensor<Real>& x, int weight, Tensor<Real>& scale) const;
  Tensor<Real> block(const Context& context, const Block& of, const Tensor<Real>& x,
                     const PresentTokens& present, typename Saved::Block* saved) const;
  Tensor<Real> block_backward(const Context& context, const Block& of, const typename Saved::Block& saved,
                              const Tensor<Real>& d_out) const;

  TransformerOptions options_;
  const Parameters<Real>* parameters_;
  std::vector<Block> blocks_;
  int norm_;
  Buffer<Real> turns_;
};

extern template class Transformer<float>;
extern template class Transformer<double>;

}  // namespace sllmr
