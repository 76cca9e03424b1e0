// DeepFM (Guo et al., IJCAI 2017), with LLM-CF's sizes and initial values.
#include <utility>

#include "kernels/layers/sums.h"
#include "models/backbones/factories.h"
#include "models/backbones/fields.h"
#include "models/layers/first_order.h"
#include "models/layers/fm.h"
#include "models/layers/mlp.h"

namespace sllmr {

namespace {

/// logit = first order + products of all pairs of fields + deep part.
template <class Real>
class DeepFm final : public Backbone<Real> {
 public:
  using BaseSaved = typename Backbone<Real>::Saved;

  DeepFm(const Context& context, const BackboneOptions& options)
      : embedding_(context, "embedding", options.width, kAllFields, options.table_rows, {}, options.seed),
        first_order_(context, this->parameters_, options, {}),
        fm_("fm", kFields, options.width),
        deep_(this->parameters_, "deep", std::int64_t{kFields} * options.width,
              {.hidden = options.hidden, .dropout = options.dropout}),
        deep_out_(this->parameters_, "deep_out", deep_.out(), 1, LinearInitial::standard) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       std::unique_ptr<BaseSaved>* saved) const override {
    auto kept = saved == nullptr ? nullptr : std::make_unique<Saved>();
    const Tensor<Real> x = embedding_.forward(context, batch);
    const Tensor<Real> pairs = fm_.forward(context, x, kept ? &kept->fm : nullptr);
    const Tensor<Real> hidden = deep_.forward(context, x, pass, kept ? &kept->deep : nullptr);
    Tensor<Real> logits = deep_out_.forward(context, hidden, pass, kept ? &kept->deep_out : nullptr);
    sum_logits(context, {logits, pairs, first_order_.forward(context, batch)}, first_order_.bias(), logits);
    if (kept) *saved = std::move(kept);
    return logits;
  }

  void backward(const Context& context, const FeatureBatch&, const BaseSaved& saved,
                const Tensor<Real>& d_logits) override {
    const auto& kept = static_cast<const Saved&>(saved);
    const Tensor<Real> d_hidden = deep_out_.backward(context, kept.deep_out, d_logits, GradientMode::replace);
    const Tensor<Real> d_x = deep_.backward(context, kept.deep, d_hidden, GradientMode::replace);
    fm_.backward(context, kept.fm, d_logits, d_x, GradientMode::accumulate);
    embedding_.backward(d_x);
    first_order_.backward(context, d_logits, GradientMode::replace);
  }

  std::vector<Embedding<Real>*> embeddings() override { return {&embedding_, &first_order_.embedding()}; }

 private:
  struct Saved final : BaseSaved {
    typename FactorizationMachine<Real>::Saved fm;
    typename Mlp<Real>::Saved deep;
    typename Linear<Real>::Saved deep_out;
  };

  Embedding<Real> embedding_;
  FirstOrder<Real> first_order_;
  FactorizationMachine<Real> fm_;
  Mlp<Real> deep_;
  Linear<Real> deep_out_;
};

}  // namespace

template <class Real>
std::unique_ptr<Backbone<Real>> make_deepfm(const Context& context, const BackboneOptions& options) {
  return std::make_unique<DeepFm<Real>>(context, options);
}
template std::unique_ptr<Backbone<float>> make_deepfm(const Context&, const BackboneOptions&);
template std::unique_ptr<Backbone<double>> make_deepfm(const Context&, const BackboneOptions&);

}  // namespace sllmr
