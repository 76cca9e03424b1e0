// Matrix factorisation: logit = <user, item>.
#include <array>

#include "kernels/exec/gemm.h"
#include "models/backbones/info.h"
#include "models/backbones/rank_tiles.h"
#include "models/backbones/typed_backbone.h"
#include "models/layers/fm/fm.h"

namespace sllmr {

namespace {

template <class Real>
class MatrixFactorization final : public TypedBackbone<Real, MatrixFactorization<Real>> {
 public:
  struct Saved {
    typename FactorizationMachine<Real>::Saved product;
  };
  struct Catalogue {
    Tensor<Real> sums;  // [items x width]
  };

  MatrixFactorization(const Context& context, const BackboneOptions& options)
      : embedding_(context, "embedding", options.width, kFieldsUsed, options.table_rows,
                   {EmbeddingInitial::Kind::normal}, options.seed, options.shards),
        product_("product", static_cast<int>(kFieldsUsed.size()), options.width) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> compute(const Context& context, const FeatureBatch& batch, const Pass&, Saved* saved) const {
    const Tensor<Real> x = embedding_.forward(context, batch);
    return product_.forward(context, x, saved ? &saved->product : nullptr);
  }

  RowVectors<Real> row_vectors(const Saved& saved) const {
    return user_then_item(saved.product.x, embedding_.width());
  }

  void differentiate(const Context& context, const FeatureBatch&, const Saved& saved,
                     const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) {
    const auto& kept = saved.product;
    const Tensor<Real> d_x(context, kept.x.rows(), kept.x.cols());
    product_.backward(context, kept, d_logits, d_x, InputGradient::replace);
    add_to(context, d_vectors, user_then_item(d_x, embedding_.width()));
    embedding_.backward(d_x);
  }

  Catalogue items_side(const Context& context, const FeatureBatch& items) const {
    Catalogue out;
    out.sums = product_.sums(context, embedding_.forward(context, items));
    return out;
  }

  Tensor<Real> rank_items(const Context& context, const Catalogue& items, const FeatureBatch& users) const {
    return products<Real>(context, product_.sums(context, embedding_.forward(context, users)), items.sums);
  }

  std::vector<Embedding<Real>*> embeddings() override { return {&embedding_}; }

 private:
  static constexpr std::array kFieldsUsed{Field::user, Field::item};

  Embedding<Real> embedding_;
  FactorizationMachine<Real> product_;
};

}  // namespace

BackboneInfo mf_backbone() {
  return backbone_info<MatrixFactorization>("mf", "MF", "matrix factorisation: <user, item>", /*own_keys=*/{},
                                            /*reads_attributes=*/false, /*has_dropout=*/false,
                                            /*takes_extra=*/false, /*is_product=*/true);
}

}  // namespace sllmr
