// What DCN and DCNv2 share: a cross network beside a deep part with batch norm.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/dense/combine.h"
#include "kernels/dense/row_sums.h"
#include "models/backbones/inputs.h"
#include "models/backbones/rank_tiles.h"
#include "models/backbones/typed_backbone.h"
#include "models/layers/linear.h"
#include "models/layers/mlp.h"

namespace sllmr {

/// logit = w . [cross(x), deep(x)] + b, where x are the fields one beside the other, and an extra vector.
template <class Real, class Cross>
class ParallelCross : public TypedBackbone<Real, ParallelCross<Real, Cross>> {
 public:
  struct Saved {
    typename Inputs<Real>::Saved inputs;
    typename Cross::Saved cross;
    typename Mlp<Real>::Saved deep;
    typename Linear<Real>::Saved out;
  };
  struct Catalogue {
    Tensor<Real> taps;  // [items x the cross network's taps]
    Tensor<Real> deep;  // [items x hidden[0]]
  };

  /// `make_cross(parameters, size)` returns the cross network for x of `size` columns; `gelu_map`: see
  /// ExtraSeat.
  template <class MakeCross>
  ParallelCross(const Context& context, const BackboneOptions& options, const EmbeddingInitial& tables,
                LinearInitial layers, const MakeCross& make_cross, bool gelu_map = false)
      : inputs_(context, this->parameters_, options, tables, {ExtraPlace::joined, layers, gelu_map}),
        cross_(make_cross(this->parameters_, size())),
        deep_(this->parameters_, "deep", size(),
              {.hidden = options.hidden, .dropout = options.dropout, .batch_norm = true, .initial = layers}),
        out_(this->parameters_, "out", size() + deep_.out(), 1, layers) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> compute(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       Saved* saved) const {
    const Tensor<Real> x = inputs_.forward(context, batch, pass, saved ? &saved->inputs : nullptr);
    const Tensor<Real> cross = cross_.forward(context, x, pass, saved ? &saved->cross : nullptr);
    const Tensor<Real> deep = deep_.forward(context, x, pass, saved ? &saved->deep : nullptr);
    const Tensor<Real> both(context, batch.rows, out_.in());
    run(context, Concatenate<Real>{.left = cross, .right = deep, .out = both});
    return out_.forward(context, both, pass, saved ? &saved->out : nullptr);
  }

  RowVectors<Real> row_vectors(const Saved& saved) const { return inputs_.row_vectors(saved.inputs); }

  void differentiate(const Context& context, const FeatureBatch& batch, const Saved& saved,
                     const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) {
    const Tensor<Real> d_both = out_.backward(context, saved.out, d_logits);
    const Tensor<Real> d_x = deep_.backward(context, saved.deep, d_both.columns(size(), deep_.out()));
    run(context,
        AddTo<Real>{.x = cross_.backward(context, saved.cross, d_both.columns(0, size())), .to = d_x});
    inputs_.backward(context, batch, saved.inputs, d_x, d_vectors);
  }

  Tensor<Real> of_examples(const Context& context, const FeatureBatch& batch,
                           std::int64_t first) const override {
    return inputs_.of_examples(context, batch, first);
  }

  bool makes_catalogue() const { return inputs_.has_sides(); }
  Catalogue items_side(const Context& context, const FeatureBatch& items) const {
    Catalogue out;
    const Tensor<Real> x = inputs_.of_side(context, items, Side::item);
    out.taps = cross_.taps(context, x, out_.weight());
    out.deep = deep_.first_sums(context, x);
    return out;
  }

  Tensor<Real> rank_items(const Context& context, const Catalogue& items, const FeatureBatch& users) const {
    const Tensor<Real> x = inputs_.of_side(context, users, Side::user);
    const Tensor<Real> taps = cross_.taps(context, x, out_.weight());
    const Tensor<Real> deep = deep_.first_sums_and_biases(context, x);
    Tensor<Real> logits(context, users.rows, items.deep.rows());
    for_rank_tiles(
        context, users.rows, items.deep.rows(), [&](std::int64_t user, std::int64_t first, std::int64_t n) {
          const Tensor<Real> out = tile_of(logits, user, first, n), of_cross(context, n, 1);
          cross_.forward_taps(
              context, {taps.row_range(user, 1), items.taps.row_range(first, n), out_.weight()}, of_cross);
          run(context, RowProducts<Real>{.x = deep_.forward_sums(context, deep.row_range(user, 1),
                                                                 items.deep.row_range(first, n)),
                                         .weight = out_.weight() + size(),
                                         .bias = out_.bias(),
                                         .out = out});
          run(context, AddTo<Real>{.x = of_cross, .to = out});
        });
    return logits;
  }

  std::vector<Embedding<Real>*> embeddings() override { return {&inputs_.embedding()}; }

 private:
  std::int64_t size() const { return inputs_.columns(); }

  Inputs<Real> inputs_;
  Cross cross_;
  Mlp<Real> deep_;
  Linear<Real> out_;
};

}  // namespace sllmr
