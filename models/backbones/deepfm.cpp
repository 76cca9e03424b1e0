// DeepFM (Guo et al., IJCAI 2017), with LLM-CF's sizes and initial values.
#include "kernels/dense/logit_sum.h"
#include "kernels/exec/gemm.h"
#include "models/backbones/info.h"
#include "models/backbones/inputs.h"
#include "models/backbones/rank_tiles.h"
#include "models/backbones/typed_backbone.h"
#include "models/layers/deep_part.h"
#include "models/layers/first_order.h"
#include "models/layers/fm/fm.h"

namespace sllmr {

namespace {

/// logit = first order + products of all pairs of fields + deep part; an extra vector enters the first order
/// and the deep part.
template <class Real>
class DeepFm final : public TypedBackbone<Real, DeepFm<Real>> {
 public:
  struct Saved {
    typename Inputs<Real>::Saved inputs;
    typename ExtraTerm<Real>::Saved extra;
    typename FactorizationMachine<Real>::Saved fm;
    typename DeepPart<Real>::Saved deep;
  };
  struct Catalogue {
    Tensor<Real> own;   // [items x 1]: first order, and products of the item's own fields
    Tensor<Real> sums;  // [items x width]
    Tensor<Real> deep;  // [items x hidden[0]]
  };

  DeepFm(const Context& context, const BackboneOptions& options)
      : inputs_(context, this->parameters_, options, {}, {ExtraPlace::field}),
        first_order_(context, this->parameters_, options, {}),
        extra_(this->parameters_, inputs_),
        fm_("fm", kFields, options.width),
        deep_(this->parameters_, inputs_.columns(), {.hidden = options.hidden, .dropout = options.dropout}) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> compute(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       Saved* saved) const {
    const Tensor<Real> x = inputs_.forward(context, batch, pass, saved ? &saved->inputs : nullptr);
    const Tensor<Real> pairs = fm_.forward(context, inputs_.fields_of(x), saved ? &saved->fm : nullptr);
    const Tensor<Real> extra = extra_.forward(context, inputs_.extra_of(x), saved ? &saved->extra : nullptr);
    Tensor<Real> logits = deep_.forward(context, x, pass, saved ? &saved->deep : nullptr);
    run(context, SumLogits<Real>{.terms = {logits, pairs, first_order_.forward(context, batch), extra},
                                 .bias = first_order_.bias(),
                                 .out = logits});
    return logits;
  }

  RowVectors<Real> row_vectors(const Saved& saved) const { return inputs_.row_vectors(saved.inputs); }

  void differentiate(const Context& context, const FeatureBatch& batch, const Saved& saved,
                     const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) {
    const Tensor<Real> d_x = deep_.backward(context, saved.deep, d_logits);
    fm_.backward(context, saved.fm, d_logits, inputs_.fields_of(d_x), InputGradient::add);
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
    const Tensor<Real> x = inputs_.of_side(context, items, Side::item);
    out.own = own_logits(context, items, x, nullptr);
    out.sums = fm_.sums(context, inputs_.fields_of(x));
    out.deep = deep_.first_sums(context, x);
    return out;
  }

  Tensor<Real> rank_items(const Context& context, const Catalogue& items, const FeatureBatch& users) const {
    const Tensor<Real> x = inputs_.of_side(context, users, Side::user);
    const Tensor<Real> own = own_logits(context, users, x, first_order_.bias());
    const Tensor<Real> deep = deep_.first_sums_and_biases(context, x);
    Tensor<Real> logits = products<Real>(context, fm_.sums(context, inputs_.fields_of(x)), items.sums);
    for_rank_tiles(context, users.rows, items.own.rows(),
                   [&](std::int64_t user, std::int64_t first, std::int64_t n) {
                     const Tensor<Real> of_deep =
                         deep_.forward_sums(context, deep.row_range(user, 1), items.deep.row_range(first, n));
                     const Tensor<Real> out = tile_of(logits, user, first, n);
                     run(context, SumLogits<Real>{.terms = {out, of_deep, items.own.row_range(first, n)},
                                                  .bias = own.row_range(user, 1).data(),
                                                  .out = out});
                   });
    return logits;
  }

  std::vector<Embedding<Real>*> embeddings() override {
    return {&inputs_.embedding(), &first_order_.embedding()};
  }

 private:
  /// What one side's part of x adds to the logit by itself, [rows x 1].
  Tensor<Real> own_logits(const Context& context, const FeatureBatch& batch, const Tensor<Real>& x,
                          const Real* bias) const {
    Tensor<Real> out = fm_.forward(context, inputs_.fields_of(x), nullptr);
    run(context, SumLogits<Real>{.terms = {out, first_order_.forward(context, batch),
                                           extra_.forward(context, inputs_.extra_of(x), nullptr)},
                                 .bias = bias,
                                 .out = out});
    return out;
  }

  Inputs<Real> inputs_;
  FirstOrder<Real> first_order_;
  ExtraTerm<Real> extra_;
  FactorizationMachine<Real> fm_;
  DeepPart<Real> deep_;
};

}  // namespace

BackboneInfo deepfm_backbone() {
  return backbone_info<DeepFm>("deepfm", "DeepFM", "factorisation machine beside a deep part",
                               {"model.frozen_bias"});
}

}  // namespace sllmr
