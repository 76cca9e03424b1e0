// What DCN and DCNv2 share: a cross network beside a deep part with batch norm.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/dense/combine.h"
#include "kernels/dense/row_sums.h"
#include "models/backbone.h"
#include "models/backbones/fields.h"
#include "models/backbones/rank_tiles.h"
#include "models/layers/linear.h"
#include "models/layers/mlp.h"

namespace sllmr {

/// logit = w . [cross(x), deep(x)] + b, where x [rows x 7 * width] are the fields one beside the other.
template <class Real, class Cross>
class ParallelCross final : public Backbone<Real> {
 public:
  using BaseSaved = typename Backbone<Real>::Saved;
  using BaseCatalogue = typename Backbone<Real>::Catalogue;

  /// `make_cross(parameters, size)` returns the cross network for x of `size` columns.
  template <class MakeCross>
  ParallelCross(const Context& context, const BackboneOptions& options, const EmbeddingInitial& tables,
                LinearInitial layers, const MakeCross& make_cross)
      : embedding_(context, "embedding", options.width, kAllFields, options.table_rows, tables, options.seed),
        cross_(make_cross(this->parameters_, size())),
        deep_(this->parameters_, "deep", size(),
              {.hidden = options.hidden, .dropout = options.dropout, .batch_norm = true, .initial = layers}),
        out_(this->parameters_, "out", size() + deep_.out(), 1, layers) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       std::unique_ptr<BaseSaved>* saved) const override {
    auto kept = saved == nullptr ? nullptr : std::make_unique<Saved>();
    const Tensor<Real> x = embedding_.forward(context, batch);
    const Tensor<Real> cross = cross_.forward(context, x, pass, kept ? &kept->cross : nullptr);
    const Tensor<Real> deep = deep_.forward(context, x, pass, kept ? &kept->deep : nullptr);
    const Tensor<Real> both(context, batch.rows, out_.in());
    run(context, Concatenate<Real>{.left = cross, .right = deep, .out = both});
    Tensor<Real> logits = out_.forward(context, both, pass, kept ? &kept->out : nullptr);
    if (kept) *saved = std::move(kept);
    return logits;
  }

  void backward(const Context& context, const FeatureBatch&, const BaseSaved& saved,
                const Tensor<Real>& d_logits) override {
    const auto& kept = static_cast<const Saved&>(saved);
    const Tensor<Real> d_both = out_.backward(context, kept.out, d_logits);
    const Tensor<Real> d_x = deep_.backward(context, kept.deep, d_both.columns(size(), deep_.out()));
    run(context,
        AddTo<Real>{.x = cross_.backward(context, kept.cross, d_both.columns(0, size())), .to = d_x});
    embedding_.backward(d_x);
  }

  std::unique_ptr<BaseCatalogue> catalogue(const Context& context, const FeatureBatch& items) const override {
    auto out = std::make_unique<Catalogue>();
    const Tensor<Real> x = embedding_.forward(context, items);
    out->taps = cross_.taps(context, x, out_.weight());
    out->deep = deep_.first_sums(context, x);
    return out;
  }

  Tensor<Real> rank(const Context& context, const BaseCatalogue& catalogue,
                    const FeatureBatch& users) const override {
    const auto& items = static_cast<const Catalogue&>(catalogue);
    const Tensor<Real> x = embedding_.forward(context, users);
    const Tensor<Real> taps = cross_.taps(context, x, out_.weight());
    const Tensor<Real> deep = deep_.first_sums_and_biases(context, x);
    Tensor<Real> logits(context, users.rows, items.deep.rows());
    for_rank_tiles(context, users.rows, items.deep.rows(),
                   [&](std::int64_t user, std::int64_t first, std::int64_t n) {
                     const Tensor<Real> out = tile_of(logits, user, first, n), of_cross(context, n, 1);
                     cross_.forward_taps(context, taps.row_range(user, 1), items.taps.row_range(first, n),
                                         out_.weight(), of_cross);
                     run(context, RowProducts<Real>{.x = deep_.forward_sums(context, deep.row_range(user, 1),
                                                                            items.deep.row_range(first, n)),
                                                    .weight = out_.weight() + size(),
                                                    .bias = out_.bias(),
                                                    .out = out});
                     run(context, AddTo<Real>{.x = of_cross, .to = out});
                   });
    return logits;
  }

  std::vector<Embedding<Real>*> embeddings() override { return {&embedding_}; }

 private:
  struct Saved final : BaseSaved {
    typename Cross::Saved cross;
    typename Mlp<Real>::Saved deep;
    typename Linear<Real>::Saved out;
  };
  struct Catalogue final : BaseCatalogue {
    Tensor<Real> taps;  // [items x the cross network's taps]
    Tensor<Real> deep;  // [items x hidden[0]]
  };
  std::int64_t size() const { return std::int64_t{kFields} * embedding_.width(); }

  Embedding<Real> embedding_;
  Cross cross_;
  Mlp<Real> deep_;
  Linear<Real> out_;
};

}  // namespace sllmr
