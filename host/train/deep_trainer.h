// Trains any backbone of models/registry.h in mini-batches, guided by any method of guidance/registry.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "host/data/features.h"
#include "host/guidance/guidance.h"
#include "host/train/fresh_negatives.h"
#include "host/train/micro_batches.h"
#include "host/train/ranking_scorer.h"
#include "host/train/shared_tables.h"
#include "host/train/stored_model.h"
#include "host/train/trainer.h"
#include "kernels/exec/launch_graph.h"
#include "models/adam/adam.h"
#include "models/backbone.h"

namespace sllmr {

/// Part of check_training().
void check_deep_options(const Config& config);

/// A step takes train.batch_size rows of the `ctr` protocol (a positive each with one negative, shuffled;
/// with BPR positives and negatives stay side by side) and the rows that the guidance adds: one forward and
/// one backward pass serve both. A chunk of train.chunk_rows rows is drawn at once and ends with the
/// guidance's own step.
///
/// Under a protocol that fixes its negatives (Protocol::fixed_negatives) those of training are fixed once
/// too, uniform over items the user never touches; under others, where nothing may know the held-out items,
/// each epoch draws new ones over the rest of the catalogue (train.negative_power).
///
/// With train.micro_batches a batch is computed in parts, by as many ranks as the context has; they then take
/// the same steps, bit by bit, as one that computes all parts. Every rank plans them all, which costs little.
///
/// Tables of embeddings above train.shard_above are then shared out by rows: a rank keeps its own with their
/// state, and hears those of others that its parts look up.
///
/// With train.cuda_graph the launches of a step go to the device as one CUDA graph: the same launches.
///
/// A backbone that propagates over a graph gets that of the training interactions, whatever the protocol.
class DeepTrainer final : public Trainer {
 public:
  /// See make_trainer().
  DeepTrainer(Context& context, const Config& config, const Split& split, const GuidanceInputs& inputs);
  ~DeepTrainer() override;

  Backbone<float>& backbone() { return *backbone_; }
  const char* unit() const override { return "rows"; }
  std::int64_t parameters() override;
  std::string remark() const override {
    return shared_ ? shared_->remark(*features_, rows_, batch_size_) : std::string();
  }
  std::int64_t rows_per_epoch() const override { return static_cast<std::int64_t>(rows_.size()); }
  /// Has the examples of all training rows found, at once, which is faster than batch by batch.
  bool prepare_training() override;
  std::optional<EpochReport> train_epoch(const std::function<bool(std::int64_t rows_done)>& stop) override;
  void set_learning_rate(double rate) override { adam_->set_learning_rate(context_, rate); }
  const Scorer& scorer(Target target) override;
  std::vector<float> ctr_logits(std::span<const CtrRow> rows) override;
  std::vector<NamedBuffer> named_buffers() override;

 private:
  /// A batch, or one of its micro-batches, on the host.
  struct Part {
    std::unique_ptr<FeatureBatcher> batcher;
    BatchPlan plan;
    int number = 0;  // of the batch's parts
  };
  /// What a rank computes of a batch.
  struct Prepared {
    std::vector<Part> parts;  // of this rank; the first `used` of them
    std::size_t used = 0;
    RowRequests requests;   // of their rows of shared tables
    std::int64_t rows = 0;  // of the batch
    int cut = 1;            // into how many parts, of all ranks
  };

  /// The guidance's look, where an epoch begins. False: interrupted, with nothing changed.
  bool look_at_model();
  void start_epoch();
  void begin_chunk(std::int64_t first, std::int64_t count);
  /// Of the chunk at hand. False: stopped, with `taken_` rows done.
  bool take_batches(std::int64_t count, const std::function<bool(std::int64_t rows_done)>& stop);
  /// Rows first .. first + count - 1 of the epoch; may run beside take_batch() of a batch before.
  void prepare(std::int64_t first, std::int64_t count, Prepared& batch);
  void plan_part(std::int64_t first, std::int64_t count, BatchPlan& plan);
  void take_batch(Prepared& prepared);
  const FeatureBatch& upload(Part& part);
  /// Accumulators that each part has for its own, whichever rank computes it.
  int slots_of_part() const { return guidance_->gate().n_slots / config_.train.micro_batches; }
  /// Forward, losses and backward: launches only.
  void compute(const Prepared& prepared, const Part& part, const FeatureBatch& batch);
  /// See BatchMaker.
  const FeatureBatch& make_batch(std::span<const FeatureRow> rows);
  void prepare_save() override;
  std::vector<Counter> counters() override;
  std::vector<NamedBuffer> chunk_buffers() override { return guidance_->chunk_buffers(); }
  void after_load() override;

  const Config& config_;
  const Split& split_;
  std::optional<FreshNegatives> fresh_negatives_;
  std::int64_t batch_size_, chunk_;
  std::vector<CtrRow> rows_;         // positives at even indexes, each before its negative
  std::vector<std::int64_t> order_;  // of the chunk at hand: indexes into rows_
  std::unique_ptr<FeatureStore> features_;
  std::unique_ptr<Backbone<float>> backbone_;
  std::unique_ptr<Adam<float>> adam_;
  std::unique_ptr<SharedTables> shared_;  // null: every rank keeps every row
  std::unique_ptr<Guidance> guidance_;
  std::unique_ptr<RankingScorer> scorer_;
  bool examples_found_ = false;
  std::unique_ptr<LaunchGraph> graph_;  // train.cuda_graph
  Buffer<float> targets_, weights_;     // of the step
  std::vector<Prepared> prepared_;
  BatchPlan of_others_;                   // a part that another rank computes
  std::unique_ptr<MicroBatchSums> sums_;  // train.micro_batches above 1
  std::int32_t model_steps_ = 0;
};

}  // namespace sllmr
