// Any backbone of models/registry.h as the model that evaluation ranks with.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/data/features.h"
#include "host/data/split.h"
#include "host/eval/ranking.h"
#include "models/backbone.h"
#include "models/scorer.h"

namespace sllmr {

/// Ranks with the backbone's catalogue, the items' side of the network, where it makes one, and by forward
/// passes over (user, item) rows where it does not. On the CPU several threads call it at once, each with a
/// context of its own.
class RankingScorer final : public Scorer {
 public:
  /// Keeps references to its arguments.
  RankingScorer(const FeatureStore& features, const Backbone<float>& backbone, const Split& split)
      : features_(features), backbone_(backbone), split_(split) {}

  /// To be called, by one thread, before score_tile: what comes before the items of `target` is known to the
  /// rows, and the catalogue is that of the parameters as they are. It lies in `context`'s pool.
  void prepare(const Context& context, Target target);
  /// Gives the catalogue's memory back.
  void release() { catalogue_.reset(); }

  Id item_rows() const override { return split_.data->items.rows(); }
  std::int64_t scratch_floats(std::int64_t) const override { return 0; }
  void score_tile(const Context& context, const Id* users, std::int64_t n, float* scratch,
                  float* logits) const override;
  void score_pairs(const Context& context, const Id* users, const Id* items, std::int64_t n,
                   float* logits) const override;
  /// logits [rows] on the context's device, by forward passes. `made_examples`: ExampleRows::made, or null.
  void score(const Context& context, std::span<const FeatureRow> rows, float* logits,
             const float* made_examples = nullptr) const;
  /// The same of labelled rows, on the host.
  std::vector<float> ctr_logits(const Context& context, std::span<const CtrRow> rows) const;

 private:
  FeatureRow row_of(Id user, Id item) const;
  /// What the backbone makes of the pool of examples, row by row.
  Tensor<float> made_examples(const Context& context, const ExampleSource& examples) const;
  void rank(const Context& context, std::span<const Id> users, float* logits) const;

  const FeatureStore& features_;
  const Backbone<float>& backbone_;
  const Split& split_;
  Target target_ = Target::test;
  std::unique_ptr<Backbone<float>::Catalogue> catalogue_;
};

}  // namespace sllmr
