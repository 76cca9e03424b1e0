// Any backbone of models/registry.h as the model that evaluation ranks with.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/data/features.h"
#include "host/data/split.h"
#include "host/eval/ranking.h"
#include "host/train/shared_tables.h"
#include "kernels/exec/interrupt.h"
#include "models/backbone.h"
#include "models/scorer.h"

namespace sllmr {

/// Ranks with the backbone's catalogue, the items' side of the network, where it makes one, and by forward
/// passes over (user, item) rows where it does not. On the CPU several threads call it at once, each with a
/// context of its own.
class RankingScorer final : public Scorer {
 public:
  /// Keeps references to its arguments. `shared`: of a backbone whose tables' rows several ranks share out;
  /// all calls are then every rank's at the same time, and the catalogue is of the rank's own items.
  RankingScorer(const FeatureStore& features, const Backbone<float>& backbone, const Split& split,
                SharedTables* shared = nullptr)
      : features_(features), backbone_(backbone), split_(split), shared_(shared) {}

  /// To be called, by one thread, before score_tile: what comes before the items of `target` is known to the
  /// rows, and the catalogue is that of the parameters as they are. It lies in `context`'s pool. Throws
  /// Interrupted on all ranks when one is asked to stop.
  void prepare(const Context& context, Target target);
  /// Gives the catalogue's memory back.
  void release() { catalogue_.reset(); }

  Id item_rows() const override { return split_.data->items.rows(); }
  RowShard item_shard() const override { return shared_ == nullptr ? RowShard() : shared_->shard(); }
  Tensor<float> score_share(const Context& context, std::span<const Id> users) const override;
  std::int64_t scratch_floats(std::int64_t) const override { return 0; }
  void score_tile(const Context& context, const Id* users, std::int64_t n, float* scratch,
                  float* logits) const override;
  void score_pairs(const Context& context, const Id* users, const Id* items, std::int64_t n,
                   float* logits) const override;
  /// logits [rows] on the context's device, by as many forward passes as they take, and at least `passes`, of
  /// which the last ones find none left. `made_examples`: ExampleRows::made, or null.
  void score(const Context& context, std::span<const FeatureRow> rows, float* logits,
             const float* made_examples = nullptr, std::int64_t passes = 0) const;
  /// Logits of labelled rows, on the host, by forward passes.
  std::vector<float> ctr_logits(const Context& context, std::span<const CtrRow> rows) const;

 private:
  static constexpr std::int64_t kForwardRows = 2048;  // of a forward pass without gradients
  // Users that share a pass over the catalogue. What a backbone computes of them beforehand stays small.
  static constexpr std::size_t kUsersAtOnce = 64;
  static constexpr Id kAnyId = 1;  // of the side that a batch leaves out

  FeatureRow row_of(Id user, Id item) const;
  /// Of batches of up to `rows` rows, for scoring.
  FeatureBatcherOptions batches_of(std::int64_t rows, Side side = Side::both) const;
  /// The batch of some rows, with what it looks up; null of none, which a rank asks for while others have
  /// some.
  const FeatureBatch* batch_of(const Context& context, FeatureBatcher& batcher,
                               std::span<const FeatureRow> rows) const;
  /// Calls work(), of which no part waits for another rank. Throws Interrupted, if it does, on all ranks that
  /// make the same calls.
  template <class Work>
  void together(const Context& context, const Work& work) const {
    shared_ != nullptr ? on_all_ranks(context.ranks(), work) : work();
  }
  /// What the backbone makes of the pool of examples, row by row.
  Tensor<float> made_examples(const Context& context, const ExampleSource& examples) const;
  void rank(const Context& context, std::span<const Id> users, float* logits) const;
  /// A user's row of scores to `logits` [item rows], of which item 0 has none.
  static void put_row(const Context& context, const Tensor<float>& scores, float* logits);

  const FeatureStore& features_;
  const Backbone<float>& backbone_;
  const Split& split_;
  SharedTables* shared_;
  Target target_ = Target::test;
  std::unique_ptr<Backbone<float>::Catalogue> catalogue_;
};

}  // namespace sllmr
