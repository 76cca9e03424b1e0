#include "models/layers/self_attention/self_attention.h"

#include <cmath>

#include "kernels/dense/activation.h"
#include "kernels/dense/row_sums.h"
#include "kernels/exec/gemm.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
SelfAttention<Real>::SelfAttention(Parameters<Real>& parameters, const std::string& name, int fields,
                                   int width, int heads, double dropout)
    : name_(name),
      parameters_(&parameters),
      fields_(fields),
      width_(width),
      heads_(heads),
      // Xavier's uniform bound for a matrix of 3 width rows and width columns.
      weight_(parameters.add(name + ".in_proj.weight", {3 * std::int64_t{width}, width},
                             Initial::uniform(std::sqrt(6.0 / (4.0 * width))))),
      bias_(parameters.add(name + ".in_proj.bias", {3 * std::int64_t{width}}, Initial::constant(0))),
      dropout_(name, dropout, weight_),
      out_proj_(parameters, name + ".out_proj", width, width, LinearInitial::xavier) {
  require(fields > 0, "layer '" + name + "': fields must be at least 1");
  require(heads > 0 && width % heads == 0, "layer '" + name + "': " + std::to_string(heads) +
                                               " heads do not divide a width of " + std::to_string(width));
}

template <class Real>
Tensor<Real> SelfAttention<Real>::forward(const Context& context, const Tensor<Real>& x, const Pass& pass,
                                          Saved* saved) const {
  require_width(name_, "input", x, width_);
  require(x.rows() % fields_ == 0, "layer '" + name_ + "': the input has " + std::to_string(x.rows()) +
                                       " rows, not a multiple of its " + std::to_string(fields_) + " fields");
  const DropoutMask<Real> mask = dropout_.mask(pass);
  const Tensor<Real> qkv = products<Real>(context, x, parameters_->matrix(weight_));
  const Tensor<Real> weights(context, x.rows() / fields_ * heads_, std::int64_t{fields_} * fields_);
  const Tensor<Real> mixed(context, x.rows(), width_);
  run(context, AttentionForward<Real>{.shape = shape(fields_),
                                      .bias = parameters_->value(bias_),
                                      .mask = mask,
                                      .qkv = qkv,
                                      .weights = weights,
                                      .out = mixed});
  if (saved == nullptr) return out_proj_.forward(context, mixed, pass, nullptr);
  *saved = {x, qkv, weights, mask.scale, {}};
  return out_proj_.forward(context, mixed, pass, &saved->out);
}

template <class Real>
Tensor<Real> SelfAttention<Real>::backward(const Context& context, const Saved& saved,
                                           const Tensor<Real>& d_out) const {
  const Tensor<Real>& x = saved.x;
  require_shape(name_, "output's gradient", d_out, x.rows(), width_);
  const Tensor<Real> d_mixed = out_proj_.backward(context, saved.out, d_out);
  const Tensor<Real> d_scores(context, saved.weights.rows(), saved.weights.cols());
  const Tensor<Real> d_qkv(context, x.rows(), saved.qkv.cols());
  run(context, AttentionBackward<Real>{.shape = shape(fields_),
                                       .dropout_scale = saved.dropout_scale,
                                       .qkv = saved.qkv,
                                       .weights = saved.weights,
                                       .d_out = d_mixed,
                                       .d_scores = d_scores,
                                       .d_qkv = d_qkv});
  run(context, SumRows<Real>{.x = d_qkv, .out = parameters_->gradient(bias_)});
  multiply(context, transposed(d_qkv), x, parameters_->gradient_matrix(weight_));
  const Tensor<Real> d_x(context, x.rows(), width_);
  multiply(context, d_qkv, parameters_->matrix(weight_), d_x);
  return d_x;
}

template <class Real>
AttentionSide<Real> SelfAttention<Real>::side(const Context& context, const Tensor<Real>& x,
                                              const Tensor<Real>& residual, int tokens) const {
  require_width(name_, "input", x, width_);
  require_shape(name_, "residual", residual, x.rows(), width_);
  const std::int64_t rows = x.rows(), dims = width_ / heads_;
  const Matrix<const Real> weight = parameters_->matrix(weight_),
                           out_weight(out_proj_.weight(), width_, width_);
  const Real* bias = parameters_->value(bias_);
  const auto add_bias = [&](const Tensor<Real>& to, const Real* of) {
    run(context, Epilogue<Real>{.x = to, .shift = of, .out = to});
  };
  const std::int64_t of_qk = 2 * std::int64_t{width_};
  AttentionSide<Real> out{tokens, products<Real>(context, x, weight.row_range(0, of_qk)),
                          Tensor<Real>(context, rows, std::int64_t{heads_} * width_),
                          Tensor<Real>(context, rows, width_),
                          Tensor<Real>(context, rows / tokens, std::int64_t{heads_} * tokens * tokens)};
  add_bias(out.qk, bias);
  const Tensor<Real> values = products<Real>(context, x, weight.row_range(of_qk, width_));
  add_bias(values, bias + of_qk);
  for (int head = 0; head < heads_; ++head) {
    multiply(context, values.columns(head * dims, dims), transposed(out_weight.columns(head * dims, dims)),
             out.values.columns(std::int64_t{head} * width_, width_));
  }
  run(context, Epilogue<Real>{.x = residual, .shift = out_proj_.bias(), .out = out.residual});
  run(context, AttentionScores<Real>{.shape = shape(tokens), .qk = out.qk, .scores = out.scores});
  return out;
}

template <class Real>
void SelfAttention<Real>::rank(const Context& context, const AttentionSide<Real>& user,
                               const AttentionSide<Real>& items, const Real* weight,
                               const Tensor<Real>& out) const {
  require(user.tokens + items.tokens == fields_, "layer '" + name_ + "': the sides' tokens are not all");
  const std::int64_t rows = items.scores.rows(), dims = width_ / heads_;
  const Tensor<Real> across(context, rows * items.tokens, 2 * std::int64_t{heads_} * user.tokens),
      scratch(context, rows, std::int64_t{heads_} * fields_ * fields_);
  for (int head = 0; head < heads_; ++head) {
    for (const int part : {0, 1}) {  // keys with the user's queries, queries with the user's keys
      multiply(context, items.qk.columns((1 - part) * width_ + head * dims, dims),
               transposed(user.qk.columns(part * width_ + head * dims, dims)),
               across.columns((std::int64_t{part} * heads_ + head) * user.tokens, user.tokens));
    }
  }
  run(context, AttentionRank<Real>{.shape = shape(fields_),
                                   .user = user,
                                   .items = items,
                                   .across = across,
                                   .weight = weight,
                                   .scratch = scratch,
                                   .out = out});
}

template class SelfAttention<float>;
template class SelfAttention<double>;

}  // namespace sllmr
