// Matrix factorisation: logit = <user, item>.
#include <array>
#include <utility>

#include "models/backbones/factories.h"
#include "models/backbones/rank_tiles.h"
#include "models/layers/fm/fm.h"

namespace sllmr {

namespace {

template <class Real>
class MatrixFactorization final : public Backbone<Real> {
 public:
  using BaseSaved = typename Backbone<Real>::Saved;
  using BaseCatalogue = typename Backbone<Real>::Catalogue;

  MatrixFactorization(const Context& context, const BackboneOptions& options)
      : embedding_(context, "embedding", options.width, kFieldsUsed, options.table_rows,
                   {EmbeddingInitial::Kind::normal}, options.seed),
        product_("product", static_cast<int>(kFieldsUsed.size()), options.width) {
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

  void backward(const Context& context, const FeatureBatch&, const BaseSaved& saved,
                const Tensor<Real>& d_logits) override {
    const auto& kept = static_cast<const Saved&>(saved).product;
    const Tensor<Real> d_x(context, kept.x.rows(), kept.x.cols());
    product_.backward(context, kept, d_logits, d_x, InputGradient::replace);
    embedding_.backward(d_x);
  }

  std::unique_ptr<BaseCatalogue> catalogue(const Context& context, const FeatureBatch& items) const override {
    auto out = std::make_unique<Catalogue>();
    out->sums = product_.sums(context, embedding_.forward(context, items));
    return out;
  }

  Tensor<Real> rank(const Context& context, const BaseCatalogue& catalogue,
                    const FeatureBatch& users) const override {
    return products(context, product_.sums(context, embedding_.forward(context, users)),
                    static_cast<const Catalogue&>(catalogue).sums);
  }

  std::vector<Embedding<Real>*> embeddings() override { return {&embedding_}; }

 private:
  struct Saved final : BaseSaved {
    typename FactorizationMachine<Real>::Saved product;
  };
  struct Catalogue final : BaseCatalogue {
    Tensor<Real> sums;  // [items x width]
  };
  static constexpr std::array kFieldsUsed{Field::user, Field::item};

  Embedding<Real> embedding_;
  FactorizationMachine<Real> product_;
};

}  // namespace

template <class Real>
std::unique_ptr<Backbone<Real>> make_mf(const Context& context, const BackboneOptions& options) {
  return std::make_unique<MatrixFactorization<Real>>(context, options);
}
template std::unique_ptr<Backbone<float>> make_mf(const Context&, const BackboneOptions&);
template std::unique_ptr<Backbone<double>> make_mf(const Context&, const BackboneOptions&);

}  // namespace sllmr
