// xDeepFM (Lian et al., KDD 2018), with LLM-CF's sizes and initial values.
#include "kernels/dense/activation.h"
#include "kernels/dense/combine.h"
#include "kernels/dense/logit_sum.h"
#include "models/backbones/info.h"
#include "models/backbones/inputs.h"
#include "models/backbones/rank_tiles.h"
#include "models/backbones/typed_backbone.h"
#include "models/layers/cin/cin.h"
#include "models/layers/deep_part.h"
#include "models/layers/first_order.h"

namespace sllmr {

namespace {

constexpr EmbeddingInitial kTables{EmbeddingInitial::Kind::xavier};

/// logit = first order + w . CIN(x) + deep part; an extra vector is a field of x and enters the first order.
template <class Real>
class XDeepFm final : public TypedBackbone<Real, XDeepFm<Real>> {
 public:
  struct Saved {
    typename Inputs<Real>::Saved inputs;
    typename ExtraTerm<Real>::Saved extra;
    typename Cin<Real>::Saved cin;
    typename Linear<Real>::Saved cin_out;
    typename DeepPart<Real>::Saved deep;
    Tensor<Real> deep_logits;  // behind the ReLU
  };
  struct Catalogue {
    Tensor<Real> x;            // [items x fields * width]
    Tensor<Real> first_order;  // [items x 4]
    Tensor<Real> extra;        // [items x 1], or nothing
    Tensor<Real> deep;         // [items x hidden[0]]
  };

  XDeepFm(const Context& context, const BackboneOptions& options)
      : inputs_(context, this->parameters_, options, kTables, {ExtraPlace::field, LinearInitial::xavier}),
        first_order_(context, this->parameters_, options, kTables),
        extra_(this->parameters_, inputs_),
        cin_(this->parameters_, "cin", inputs_.fields(), options.width, options.cin_sizes),
        cin_out_(this->parameters_, "cin_out", cin_.outputs(), 1, LinearInitial::xavier),
        deep_(this->parameters_, inputs_.columns(),
              {.hidden = options.hidden, .dropout = options.dropout, .initial = LinearInitial::xavier},
              /*last_dropout=*/true),
        relu_deep_logit_(options.relu_deep_logit) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> compute(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       Saved* saved) const {
    const Tensor<Real> x = inputs_.forward(context, batch, pass, saved ? &saved->inputs : nullptr);
    const Tensor<Real> interactions = cin_.forward(context, x, pass, saved ? &saved->cin : nullptr);
    Tensor<Real> logits = cin_out_.forward(context, interactions, pass, saved ? &saved->cin_out : nullptr);
    const Tensor<Real> deep = deep_.forward(context, x, pass, saved ? &saved->deep : nullptr);
    if (relu_deep_logit_) {
      relu(context, deep);
      if (saved) saved->deep_logits = deep;
    }
    const Tensor<Real> extra = extra_.forward(context, inputs_.extra_of(x), saved ? &saved->extra : nullptr);
    run(context, SumLogits<Real>{.terms = {logits, deep, first_order_.forward(context, batch), extra},
                                 .bias = first_order_.bias(),
                                 .out = logits});
    return logits;
  }

  RowVectors<Real> row_vectors(const Saved& saved) const { return inputs_.row_vectors(saved.inputs); }

  void differentiate(const Context& context, const FeatureBatch& batch, const Saved& saved,
                     const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) {
    Tensor<Real> d_deep = d_logits;
    if (relu_deep_logit_) {
      d_deep = Tensor<Real>(context, d_logits.rows(), 1);
      const Tensor<Real> unused_sum(context, 1, 1);
      run(context, ReluBackward<Real>{.d_out = d_logits,
                                      .out = saved.deep_logits,
                                      .scale = Real(1),
                                      .d_x = d_deep,
                                      .d_bias = unused_sum.data()});
    }
    const Tensor<Real> d_x = deep_.backward(context, saved.deep, d_deep);
    const Tensor<Real> d_interactions = cin_out_.backward(context, saved.cin_out, d_logits);
    run(context, AddTo<Real>{.x = cin_.backward(context, saved.cin, d_interactions), .to = d_x});
    extra_.backward(context, saved.extra, d_logits, inputs_.extra_of(d_x));
    inputs_.backward(context, batch, saved.inputs, d_x, d_vectors);
    first_order_.backward(context, batch, d_logits);
  }

  Tensor<Real> of_examples(const Context& context, const FeatureBatch& batch,
                           std::int64_t first) const override {
    return inputs_.of_examples(context, batch, first);
  }
  bool makes_catalogue() const { return inputs_.has_sides(); }
  Catalogue items_side(const Context& context, const FeatureBatch& items) const {
    Catalogue out;
    out.x = inputs_.of_side(context, items, Side::item);
    out.first_order = first_order_.forward(context, items);
    out.extra = extra_.forward(context, inputs_.extra_of(out.x), nullptr);
    out.deep = deep_.first_sums(context, out.x);
    return out;
  }

  Tensor<Real> rank_items(const Context& context, const Catalogue& items, const FeatureBatch& users) const {
    const Tensor<Real> x = inputs_.of_side(context, users, Side::user);
    const Tensor<Real> deep = deep_.first_sums_and_biases(context, x), own(context, users.rows, 1);
    run(context, SumLogits<Real>{.terms = {first_order_.forward(context, users),
                                           extra_.forward(context, inputs_.extra_of(x), nullptr)},
                                 .bias = first_order_.bias(),
                                 .out = own});
    Tensor<Real> logits(context, users.rows, items.x.rows());
    for_rank_tiles(
        context, users.rows, items.x.rows(), [&](std::int64_t user, std::int64_t first, std::int64_t n) {
          const Tensor<Real> rows(context, n, x.cols());
          run(context,
              Epilogue<Real>{
                  .x = items.x.row_range(first, n), .shift = x.row_range(user, 1).data(), .out = rows});
          const Tensor<Real> interactions = cin_.forward(context, rows, Pass{}, nullptr);
          const Tensor<Real> deep_logits =
              deep_.forward_sums(context, deep.row_range(user, 1), items.deep.row_range(first, n));
          if (relu_deep_logit_) relu(context, deep_logits);
          run(context, SumLogits<Real>{
                           .terms = {cin_out_.forward(context, interactions, Pass{}, nullptr), deep_logits,
                                     items.first_order.row_range(first, n),
                                     items.extra.cols() == 0 ? items.extra : items.extra.row_range(first, n)},
                           .bias = own.row_range(user, 1).data(),
                           .out = tile_of(logits, user, first, n)});
        });
    return logits;
  }

  std::vector<Embedding<Real>*> embeddings() override {
    return {&inputs_.embedding(), &first_order_.embedding()};
  }

 private:
  static void relu(const Context& context, const Tensor<Real>& x) {
    run(context, Epilogue<Real>{.x = x, .relu = true, .out = x});
  }

  Inputs<Real> inputs_;
  FirstOrder<Real> first_order_;
  ExtraTerm<Real> extra_;
  Cin<Real> cin_;
  Linear<Real> cin_out_;
  DeepPart<Real> deep_;
  bool relu_deep_logit_;
};

}  // namespace

BackboneInfo xdeepfm_backbone() {
  return backbone_info<XDeepFm>("xdeepfm", "xDeepFM", "compressed interaction network beside a deep part",
                                {"model.frozen_bias", "model.relu_deep_logit"});
}

}  // namespace sllmr
