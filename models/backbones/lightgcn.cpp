// LightGCN (He et al., SIGIR 2020), with the layers and initial values of its authors' code.
#include <utility>

#include "models/backbones/factories.h"
#include "models/backbones/rank_tiles.h"
#include "models/layers/fm/fm.h"
#include "models/layers/graph_embedding/graph_embedding.h"

namespace sllmr {

namespace {

constexpr int kLayers = 3;
constexpr double kDeviation = 0.1;

/// logit = <e_user, e_item>, e the mean over the layers of a propagation over the training graph.
template <class Real>
class LightGcn final : public Backbone<Real> {
 public:
  using BaseSaved = typename Backbone<Real>::Saved;
  using BaseCatalogue = typename Backbone<Real>::Catalogue;

  LightGcn(const Context& context, const BackboneOptions& options)
      : embedding_(context, this->parameters_, "embedding", options, kLayers, kDeviation),
        product_("product", 2, options.width) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> forward(const Context& context, const FeatureBatch& batch, const Pass&,
                       std::unique_ptr<BaseSaved>* saved) const override {
    auto kept = saved == nullptr ? nullptr : std::make_unique<Saved>();
    const Tensor<Real> x = embedding_.forward(context, batch);
    Tensor<Real> logits = product_.forward(context, x, kept ? &kept->product : nullptr);
    if (kept) *saved = std::move(kept);
    return logits;
  }

  void backward(const Context& context, const FeatureBatch& batch, const BaseSaved& saved,
                const Tensor<Real>& d_logits) override {
    const auto& kept = static_cast<const Saved&>(saved).product;
    const Tensor<Real> d_x(context, kept.x.rows(), kept.x.cols());
    product_.backward(context, kept, d_logits, d_x, InputGradient::replace);
    embedding_.backward(context, batch, d_x);
  }

  std::unique_ptr<BaseCatalogue> catalogue(const Context& context, const FeatureBatch& items) const override {
    auto out = std::make_unique<Catalogue>();
    out->e = embedding_.propagated(context);
    out->items = embedding_.look_up(context, out->e, items, Field::item);
    return out;
  }

  Tensor<Real> rank(const Context& context, const BaseCatalogue& catalogue,
                    const FeatureBatch& users) const override {
    const auto& made = static_cast<const Catalogue&>(catalogue);
    return products(context, embedding_.look_up(context, made.e, users, Field::user), made.items);
  }

  std::vector<Embedding<Real>*> embeddings() override { return {}; }

 private:
  struct Saved final : BaseSaved {
    typename FactorizationMachine<Real>::Saved product;
  };

  struct Catalogue final : BaseCatalogue {
    Tensor<Real> e;      // [nodes x width], propagated
    Tensor<Real> items;  // [items x width]
  };

  GraphEmbedding<Real> embedding_;
  FactorizationMachine<Real> product_;
};

}  // namespace

template <class Real>
std::unique_ptr<Backbone<Real>> make_lightgcn(const Context& context, const BackboneOptions& options) {
  return std::make_unique<LightGcn<Real>>(context, options);
}
template std::unique_ptr<Backbone<float>> make_lightgcn(const Context&, const BackboneOptions&);
template std::unique_ptr<Backbone<double>> make_lightgcn(const Context&, const BackboneOptions&);

}  // namespace sllmr
