// LightGCN (He et al., SIGIR 2020), with the layers and initial values of its authors' code.
#include "kernels/exec/gemm.h"
#include "models/backbones/info.h"
#include "models/backbones/rank_tiles.h"
#include "models/backbones/typed_backbone.h"
#include "models/layers/fm/fm.h"
#include "models/layers/graph_embedding/graph_embedding.h"

namespace sllmr {

namespace {

constexpr int kLayers = 3;
constexpr double kDeviation = 0.1;

/// logit = <e_user, e_item>, e the mean over the layers of a propagation over the training graph.
template <class Real>
class LightGcn final : public TypedBackbone<Real, LightGcn<Real>> {
 public:
  struct Saved {
    typename GraphEmbedding<Real>::Saved embedding;
    typename FactorizationMachine<Real>::Saved product;
  };
  struct Catalogue {
    Tensor<Real> e;      // [nodes x width], propagated
    Tensor<Real> items;  // [items x width]
  };

  LightGcn(const Context& context, const BackboneOptions& options)
      : embedding_(context, this->parameters_, "embedding", options, kLayers, kDeviation),
        product_("product", 2, options.width) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> compute(const Context& context, const FeatureBatch& batch, const Pass&, Saved* saved) const {
    const Tensor<Real> x = embedding_.forward(context, batch, saved ? &saved->embedding : nullptr);
    return product_.forward(context, x, saved ? &saved->product : nullptr);
  }

  RowVectors<Real> row_vectors(const Saved& saved) const {
    return user_then_item(saved.product.x, embedding_.width());
  }

  void differentiate(const Context& context, const FeatureBatch& batch, const Saved& saved,
                     const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) {
    const auto& kept = saved.product;
    const Tensor<Real> d_x(context, kept.x.rows(), kept.x.cols());
    product_.backward(context, kept, d_logits, d_x, InputGradient::replace);
    add_to(context, d_vectors, user_then_item(d_x, embedding_.width()));
    embedding_.backward(context, batch, saved.embedding, d_x);
  }

  Catalogue items_side(const Context& context, const FeatureBatch& items) const {
    Catalogue out;
    out.e = embedding_.propagated(context);
    out.items = embedding_.look_up(context, out.e, items, Field::item);
    return out;
  }

  Tensor<Real> rank_items(const Context& context, const Catalogue& items, const FeatureBatch& users) const {
    return products<Real>(context, embedding_.look_up(context, items.e, users, Field::user), items.items);
  }

  std::vector<Embedding<Real>*> embeddings() override { return {}; }

 private:
  GraphEmbedding<Real> embedding_;
  FactorizationMachine<Real> product_;
};

}  // namespace

BackboneInfo lightgcn_backbone() {
  return backbone_info<LightGcn>("lightgcn", "LightGCN",
                                 "<user, item> of rows that are propagated over the training graph",
                                 /*own_keys=*/{}, /*reads_attributes=*/false, /*has_dropout=*/false,
                                 /*takes_extra=*/false, /*is_product=*/true, /*looks_up_rows=*/false);
}

}  // namespace sllmr
