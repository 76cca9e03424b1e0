#include "models/layers/transformer/transformer.h"

#include <cmath>
#include <span>
#include <utility>

#include "kernels/dense/combine.h"
#include "kernels/exec/gemm.h"
#include "models/layers/shapes.h"

namespace sllmr {

namespace {

constexpr double kEps = 1e-5, kTheta = 1e4;

/// 2/3 of twice the width, up to a multiple of the width.
int hidden_of(int width) {
  return (2 * 2 * width / 3 + width - 1) / width * width;
}

/// Cosine and sine of each pair's angle at each token.
template <class Real>
std::vector<Real> turns_of(int tokens, int head_width) {
  std::vector<Real> turns;
  for (int token = 0; token < tokens; ++token) {
    for (int pair = 0; pair < head_width / 2; ++pair) {
      const double angle = token / std::pow(kTheta, 2.0 * pair / head_width);
      turns.push_back(static_cast<Real>(std::cos(angle)));
      turns.push_back(static_cast<Real>(std::sin(angle)));
    }
  }
  return turns;
}

}  // namespace

template <class Real>
Transformer<Real>::Transformer(const Context& context, Parameters<Real>& parameters, const std::string& name,
                               const TransformerOptions& options, bool xavier)
    : options_(options), parameters_(&parameters) {
  require(options.heads >= 1 && options.width % (2 * options.heads) == 0,
          "the transformer's " + std::to_string(options.heads) + " heads must share out " +
              std::to_string(options.width) + " numbers evenly, in pairs");
  const std::int64_t width = options.width, hidden = hidden_of(options.width);
  const auto product = [&](const std::string& part, std::int64_t out, std::int64_t in, std::int64_t of_one) {
    const auto from = static_cast<double>(in), to = static_cast<double>(of_one);
    return parameters.add(
        part, {out, in},
        xavier ? Initial::normal(std::sqrt(2.0 / (from + to))) : Initial::uniform(1.0 / std::sqrt(from)));
  };
  const auto norm = [&](const std::string& part) {
    return parameters.add(part, {width}, Initial::constant(1));
  };
  for (int l = 0; l < options.blocks; ++l) {
    const std::string of = name + "." + std::to_string(l);
    Block block{};
    block.attention_norm = norm(of + ".attention_norm");
    block.qkv = product(of + ".qkv", 3 * width, width, width);
    block.attention_out = product(of + ".attention_out", width, width, width);
    block.feed_norm = norm(of + ".feed_norm");
    block.feed_in = product(of + ".feed_in", 2 * hidden, width, hidden);
    block.feed_out = product(of + ".feed_out", width, hidden, width);
    blocks_.push_back(block);
  }
  norm_ = norm(name + ".norm");
  const std::vector<Real> turns = turns_of<Real>(options.tokens, shape().head_width);
  turns_ = Buffer<Real>(context, std::span<const Real>(turns));
}

template <class Real>
Tensor<Real> Transformer<Real>::norm(const Context& context, const Tensor<Real>& x, int weight,
                                     Tensor<Real>& scale) const {
  scale = Tensor<Real>(context, x.rows(), 1);
  Tensor<Real> out(context, x.rows(), x.cols());
  run(context, RmsNorm<Real>{.x = x,
                             .weight = parameters_->value(weight),
                             .eps = static_cast<Real>(kEps),
                             .scale = scale,
                             .out = out});
  return out;
}

template <class Real>
Tensor<Real> Transformer<Real>::block(const Context& context, const Block& of, const Tensor<Real>& x,
                                      const PresentTokens& present, typename Saved::Block* saved) const {
  typename Saved::Block at;
  at.x = x;
  at.normed = norm(context, x, of.attention_norm, at.attention_scale);
  at.qkv = products<Real>(context, at.normed, parameters_->matrix(of.qkv));
  const std::int64_t tokens = options_.tokens, sequences = x.rows() / tokens;
  at.weights = Tensor<Real>(context, sequences * options_.heads, tokens * tokens);
  at.attended = Tensor<Real>(context, x.rows(), x.cols());
  run(context, CausalAttention<Real>{.shape = shape(),
                                     .present = present,
                                     .turns = turns(),
                                     .qkv = at.qkv,
                                     .weights = at.weights,
                                     .out = at.attended});
  at.y = products<Real>(context, at.attended, parameters_->matrix(of.attention_out));
  run(context, AddTo<Real>{.x = x, .to = at.y});
  at.feed_normed = norm(context, at.y, of.feed_norm, at.feed_scale);
  at.feed = products<Real>(context, at.feed_normed, parameters_->matrix(of.feed_in));
  at.gated = Tensor<Real>(context, x.rows(), at.feed.cols() / 2);
  run(context, SwiGlu<Real>{.x = at.feed, .out = at.gated});
  Tensor<Real> out = products<Real>(context, at.gated, parameters_->matrix(of.feed_out));
  run(context, AddTo<Real>{.x = at.y, .to = out});
  if (saved != nullptr) *saved = std::move(at);
  return out;
}

template <class Real>
Tensor<Real> Transformer<Real>::forward(const Context& context, const Tensor<Real>& x,
                                        const PresentTokens& present, Saved* saved) const {
  require(x.cols() == options_.width && x.rows() % options_.tokens == 0,
          "Transformer: the input must be whole sequences of tokens of the width that it was made for");
  if (saved != nullptr) saved->blocks.resize(blocks_.size());
  Tensor<Real> at = x;
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    at = block(context, blocks_[l], at, present, saved != nullptr ? &saved->blocks[l] : nullptr);
  }
  Tensor<Real> scale;
  Tensor<Real> out = norm(context, at, norm_, scale);
  if (saved != nullptr) {
    saved->x = at;
    saved->scale = scale;
  }
  return out;
}

template <class Real>
Tensor<Real> Transformer<Real>::block_backward(const Context& context, const Block& of,
                                               const typename Saved::Block& saved,
                                               const Tensor<Real>& d_out) const {
  const std::int64_t rows = d_out.rows();
  // A product y = x W^T: W's gradient, and x's.
  const auto back = [&](int weight, const Tensor<Real>& x, const Tensor<Real>& d_y) {
    multiply(context, transposed(d_y), x, parameters_->gradient_matrix(weight));
    Tensor<Real> d_x(context, rows, x.cols());
    multiply(context, d_y, parameters_->matrix(weight), d_x);
    return d_x;
  };
  // Adds to d_x, the gradient by way of the residual.
  const auto norm_back = [&](int weight, const Tensor<Real>& x, const Tensor<Real>& scale,
                             const Tensor<Real>& d_normed, const Tensor<Real>& d_x) {
    run(context, RmsNormBackward<Real>{.x = x,
                                       .weight = parameters_->value(weight),
                                       .scale = scale,
                                       .d_out = d_normed,
                                       .d_x = d_x,
                                       .d_weight = parameters_->gradient(weight)});
  };
  const Tensor<Real> d_gated = back(of.feed_out, saved.gated, d_out);
  const Tensor<Real> d_feed(context, rows, saved.feed.cols());
  run(context, SwiGluBackward<Real>{.x = saved.feed, .d_out = d_gated, .d_x = d_feed});
  norm_back(of.feed_norm, saved.y, saved.feed_scale, back(of.feed_in, saved.feed_normed, d_feed), d_out);

  const Tensor<Real> d_attended = back(of.attention_out, saved.attended, d_out);
  const Tensor<Real> d_qkv(context, rows, saved.qkv.cols());
  const Tensor<Real> d_scores(context, saved.weights.rows(), saved.weights.cols());
  run(context, CausalAttentionBackward<Real>{.shape = shape(),
                                             .turns = turns(),
                                             .qkv = saved.qkv,
                                             .weights = saved.weights,
                                             .d_out = d_attended,
                                             .d_scores = d_scores,
                                             .d_qkv = d_qkv});
  norm_back(of.attention_norm, saved.x, saved.attention_scale, back(of.qkv, saved.normed, d_qkv), d_out);
  return d_out;
}

template <class Real>
Tensor<Real> Transformer<Real>::backward(const Context& context, const Saved& saved,
                                         const Tensor<Real>& d_out) const {
  require_shape("transformer", "output's gradient", d_out, saved.x.rows(), options_.width);
  auto d = Tensor<Real>::zeros(context, d_out.rows(), d_out.cols());
  run(context, RmsNormBackward<Real>{.x = saved.x,
                                     .weight = parameters_->value(norm_),
                                     .scale = saved.scale,
                                     .d_out = d_out,
                                     .d_x = d,
                                     .d_weight = parameters_->gradient(norm_)});
  for (std::size_t l = blocks_.size(); l-- > 0;) d = block_backward(context, blocks_[l], saved.blocks[l], d);
  return d;
}

template class Transformer<float>;
template class Transformer<double>;

}  // namespace sllmr
