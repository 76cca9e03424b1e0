// AutoInt (Song et al., CIKM 2019) beside a deep part, with LLM-CF's sizes and initial values.
#include <array>
#include <span>

#include "kernels/dense/activation.h"
#include "kernels/dense/combine.h"
#include "kernels/dense/logit_sum.h"
#include "kernels/dense/row_sums.h"
#include "models/backbones/info.h"
#include "models/backbones/inputs.h"
#include "models/backbones/rank_tiles.h"
#include "models/backbones/typed_backbone.h"
#include "models/layers/deep_part.h"
#include "models/layers/self_attention/self_attention.h"

namespace sllmr {

namespace {

/// logit = w . relu(attention(h) + residual(e)) + deep part, where e are the fields' vectors and h =
/// attention_input(e); both maps act on one field at a time. An extra vector is a field; as both sides may
/// have a part in it, there is no catalogue then.
template <class Real>
class AutoInt final : public TypedBackbone<Real, AutoInt<Real>> {
 public:
  struct Saved {
    typename Inputs<Real>::Saved inputs;
    typename Linear<Real>::Saved input, residual, attention_out;
    typename SelfAttention<Real>::Saved attention;
    typename DeepPart<Real>::Saved deep;
  };
  struct Catalogue {
    AttentionSide<Real> attention;
    Tensor<Real> deep;  // [items x hidden[0]]
  };

  AutoInt(const Context& context, const BackboneOptions& options)
      : inputs_(context, this->parameters_, options, {EmbeddingInitial::Kind::xavier},
                {ExtraPlace::field, LinearInitial::xavier}),
        input_(this->parameters_, "attention_input", options.width, options.attention_width,
               LinearInitial::xavier),
        attention_(this->parameters_, "attention", inputs_.fields(), options.attention_width,
                   options.attention_heads, options.dropout),
        residual_(this->parameters_, "residual", options.width, options.attention_width,
                  LinearInitial::xavier),
        attention_out_(this->parameters_, "attention_out",
                       std::int64_t{inputs_.fields()} * options.attention_width, 1, LinearInitial::xavier),
        deep_(this->parameters_, inputs_.columns(),
              {.hidden = options.hidden, .dropout = options.dropout, .initial = LinearInitial::xavier}) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> compute(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       Saved* saved) const {
    const std::int64_t rows = batch.rows, tokens = rows * inputs_.fields();
    const Tensor<Real> x = inputs_.forward(context, batch, pass, saved ? &saved->inputs : nullptr);
    const Tensor<Real> by_field = x.reshaped(tokens, inputs_.width());
    const Tensor<Real> h = input_.forward(context, by_field, pass, saved ? &saved->input : nullptr);
    const Tensor<Real> attended = attention_.forward(context, h, pass, saved ? &saved->attention : nullptr);
    run(context,
        AddRelu<Real>{.a = attended,
                      .b = residual_.forward(context, by_field, pass, saved ? &saved->residual : nullptr),
                      .out = attended});
    Tensor<Real> logits = attention_out_.forward(context, attended.reshaped(rows, attention_out_.in()), pass,
                                                 saved ? &saved->attention_out : nullptr);
    run(context,
        AddTo<Real>{.x = deep_.forward(context, x, pass, saved ? &saved->deep : nullptr), .to = logits});
    return logits;
  }

  RowVectors<Real> row_vectors(const Saved& saved) const { return inputs_.row_vectors(saved.inputs); }

  void differentiate(const Context& context, const FeatureBatch& batch, const Saved& saved,
                     const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) {
    const std::int64_t rows = d_logits.rows(), tokens = rows * inputs_.fields();
    const Tensor<Real> d_x = deep_.backward(context, saved.deep, d_logits);
    const Tensor<Real> d_by_field = d_x.reshaped(tokens, inputs_.width());

    const Tensor<Real> d_sum =
        attention_out_.backward(context, saved.attention_out, d_logits).reshaped(tokens, residual_.out());
    run(context, ReluBackward<Real>{.d_out = d_sum,
                                    .out = saved.attention_out.x.reshaped(tokens, residual_.out()),
                                    .scale = Real(1),
                                    .d_x = d_sum,
                                    .d_bias = residual_.bias_gradient()});
    residual_.product_backward(context, saved.residual.x, d_sum, d_by_field, InputGradient::add);
    const Tensor<Real> d_h = attention_.backward(context, saved.attention, d_sum);
    run(context, SumRows<Real>{.x = d_h, .out = input_.bias_gradient()});
    input_.product_backward(context, saved.input.x, d_h, d_by_field, InputGradient::add);
    inputs_.backward(context, batch, saved.inputs, d_x, d_vectors);
  }

  Tensor<Real> of_examples(const Context& context, const FeatureBatch& batch,
                           std::int64_t first) const override {
    return inputs_.of_examples(context, batch, first);
  }
  bool makes_catalogue() const { return inputs_.extra_width() == 0; }
  Catalogue items_side(const Context& context, const FeatureBatch& items) const {
    Catalogue out;
    out.attention = attention_side(context, items, kItemTokens);
    out.deep = deep_.first_sums(context, inputs_.of_side(context, items, Side::item));
    return out;
  }

  Tensor<Real> rank_items(const Context& context, const Catalogue& items, const FeatureBatch& users) const {
    const AttentionSide<Real> attention = attention_side(context, users, kUserTokens);
    const Tensor<Real> deep =
        deep_.first_sums_and_biases(context, inputs_.of_side(context, users, Side::user));
    const Tensor<Real> weight(context, kFields, attention_.width());
    std::int64_t token = 0;
    const auto add_weights = [&](std::span<const Field> fields) {
      for (const Field field : fields) {
        copy_on_device(context, weight.row_range(token++, 1).data(),
                       attention_out_.weight() + static_cast<std::int64_t>(field) * weight.cols(),
                       static_cast<std::size_t>(weight.cols()) * sizeof(Real));
      }
    };
    add_weights(kUserTokens);
    add_weights(kItemTokens);
    Tensor<Real> logits(context, users.rows, items.deep.rows());
    for_rank_tiles(context, users.rows, items.deep.rows(),
                   [&](std::int64_t user, std::int64_t first, std::int64_t n) {
                     const Tensor<Real> attended(context, n, 1);
                     attention_.rank(context, attention.row_range(user, 1),
                                     items.attention.row_range(first, n), weight.data(), attended);
                     const Tensor<Real> of_deep =
                         deep_.forward_sums(context, deep.row_range(user, 1), items.deep.row_range(first, n));
                     run(context, SumLogits<Real>{.terms = {attended, of_deep},
                                                  .bias = attention_out_.bias(),
                                                  .out = tile_of(logits, user, first, n)});
                   });
    return logits;
  }

  std::vector<Embedding<Real>*> embeddings() override { return {&inputs_.embedding()}; }

 private:
  static constexpr std::array kUserTokens{Field::user, Field::history_items, Field::history_brands,
                                          Field::history_categories};
  static constexpr std::array kItemTokens{Field::item, Field::brand, Field::categories};

  /// One side's tokens on their way to the attention unit.
  AttentionSide<Real> attention_side(const Context& context, const FeatureBatch& batch,
                                     std::span<const Field> fields) const {
    const auto tokens = static_cast<std::int64_t>(fields.size());
    const std::int64_t width = inputs_.width();
    const Tensor<Real> x(context, batch.rows, tokens * width);
    for (std::int64_t k = 0; k < tokens; ++k) {
      inputs_.embedding().lookup(context, batch, fields[static_cast<std::size_t>(k)],
                                 x.columns(k * width, width));
    }
    const Tensor<Real> by_field = x.reshaped(batch.rows * tokens, width);
    return attention_.side(context, input_.forward(context, by_field, Pass{}, nullptr),
                           residual_.forward(context, by_field, Pass{}, nullptr), static_cast<int>(tokens));
  }

  Inputs<Real> inputs_;
  Linear<Real> input_;
  SelfAttention<Real> attention_;
  Linear<Real> residual_;
  Linear<Real> attention_out_;
  DeepPart<Real> deep_;
};

}  // namespace

BackboneInfo autoint_backbone() {
  return backbone_info<AutoInt>("autoint", "AutoInt", "self-attention over the fields beside a deep part");
}

}  // namespace sllmr
