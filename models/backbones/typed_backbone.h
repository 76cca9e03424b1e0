// A Backbone in its own types.
#pragma once

#include <memory>
#include <utility>

#include "models/backbone.h"

namespace sllmr {

/// Backbone<Real> by way of the methods of `Self`, which derives from it and has two structs: Saved, what
/// forward keeps for backward, and Catalogue, what ranking keeps of the items.
///
///   Tensor<Real> compute(const Context&, const FeatureBatch&, const Pass&, Saved*) const;
///   RowVectors<Real> row_vectors(const Saved&) const;
///   void differentiate(const Context&, const FeatureBatch&, const Saved&, const Tensor<Real>& d_logits,
///                      const RowVectors<Real>& d_vectors);
///   bool makes_catalogue() const;   // true unless Self says otherwise
///   Catalogue items_side(const Context&, const FeatureBatch& items) const;
///   Tensor<Real> rank_items(const Context&, const Catalogue&, const FeatureBatch& users) const;
///
/// These are forward (its Saved may be null), vectors, backward, catalogue and rank.
template <class Real, class Self>
class TypedBackbone : public Backbone<Real> {
 public:
  using BaseSaved = typename Backbone<Real>::Saved;
  using BaseCatalogue = typename Backbone<Real>::Catalogue;

  Tensor<Real> forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       std::unique_ptr<BaseSaved>* saved) const final {
    if (saved == nullptr) return self().compute(context, batch, pass, nullptr);
    auto kept = std::make_unique<SavedOfSelf>();
    Tensor<Real> logits = self().compute(context, batch, pass, &kept->own);
    *saved = std::move(kept);
    return logits;
  }

  RowVectors<Real> vectors(const BaseSaved& saved) const final {
    return self().row_vectors(static_cast<const SavedOfSelf&>(saved).own);
  }

  using Backbone<Real>::backward;
  void backward(const Context& context, const FeatureBatch& batch, const BaseSaved& saved,
                const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) final {
    static_cast<Self&>(*this).differentiate(context, batch, static_cast<const SavedOfSelf&>(saved).own,
                                            d_logits, d_vectors);
  }

  std::unique_ptr<BaseCatalogue> catalogue(const Context& context, const FeatureBatch& items) const final {
    if (!self().makes_catalogue()) return nullptr;
    auto made = std::make_unique<CatalogueOfSelf>();
    made->own = self().items_side(context, items);
    return made;
  }

  Tensor<Real> rank(const Context& context, const BaseCatalogue& catalogue,
                    const FeatureBatch& users) const final {
    return self().rank_items(context, static_cast<const CatalogueOfSelf&>(catalogue).own, users);
  }

  bool makes_catalogue() const { return true; }

 private:
  struct SavedOfSelf final : BaseSaved {
    typename Self::Saved own;
  };
  struct CatalogueOfSelf final : BaseCatalogue {
    typename Self::Catalogue own;
  };

  const Self& self() const { return static_cast<const Self&>(*this); }
};

}  // namespace sllmr
