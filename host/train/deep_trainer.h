// Trains any backbone of models/registry.h in mini-batches, with the selective penalty on its logits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "host/data/features.h"
#include "host/train/ranking_scorer.h"
#include "host/train/trainer.h"
#include "kernels/exec/launch_graph.h"
#include "kernels/loss_head.h"
#include "models/adam.h"
#include "models/backbone.h"

namespace sllmr {

/// Every (user, item) of training: what a backbone that propagates over a graph may know.
std::vector<Interaction> training_interactions(const Split& split);

/// A step takes train.batch_size rows of the `ctr` protocol (a positive each with one negative, shuffled;
/// with BPR positives and negatives stay side by side) and appends the rows of the batch's LLM pairs, but for
/// guiding pairs that the gate holds shut (gate.skip_below): one forward and one backward pass serve both
/// losses. Rows of pairs see the history that the LLM saw: all training items but the last. The gate takes a
/// step every train.chunk_rows rows, before which the model as it then is scores the probes of these rows:
/// they teach the model nothing, and among the rows of a batch they would change its batch norm's statistics.
/// The objective `alignment` takes two backward passes more, for the
/// gradients on the user's row that it compares.
///
/// Under eval.protocol=ctr the negatives are fixed once, uniform over items the user never touches; under
/// `full`, where nothing may know the held-out items, each epoch draws new ones, uniform over the rest of the
/// catalogue.
///
/// With train.cuda_graph the launches of a step go to the device as one CUDA graph: the same launches.
///
/// A backbone that propagates over a graph gets that of the training interactions, whatever the protocol.
class DeepTrainer final : public Trainer {
 public:
  /// See make_trainer().
  DeepTrainer(Context& context, const Config& config, const Method& method, const Split& split,
              const ScoreTable* table);
  ~DeepTrainer() override;

  Backbone<float>& backbone() { return *backbone_; }
  const char* unit() const override { return "rows"; }
  std::int64_t rows_per_epoch() const override { return static_cast<std::int64_t>(rows_.size()); }
  std::optional<EpochReport> train_epoch(const std::function<bool(std::int64_t rows_done)>& stop) override;
  const Scorer& scorer(Target target) override;
  std::vector<float> ctr_logits(std::span<const CtrRow> rows) override;
  std::vector<NamedBuffer> named_buffers() override;
  std::vector<float> gate_parameters() const override { return selective_->parameters(); }

 private:
  /// A batch on the host.
  struct Prepared {
    std::unique_ptr<FeatureBatcher> batcher;
    std::vector<FeatureRow> rows;  // the training rows, then the pairs' first and second rows
    std::vector<float> labels;     // of the training rows
    std::vector<HeadPair> heads;
    std::int64_t count = 0;  // of training rows
  };

  void start_epoch();
  void order_stretch(std::int64_t first, std::int64_t count);
  /// Of the stretch at hand. False: stopped, with `taken_` rows done.
  bool take_batches(std::int64_t count, const std::function<bool(std::int64_t rows_done)>& stop);
  /// Rows first .. first + count - 1 of the epoch, which draw `pairs`; may run beside take_batch() of a batch
  /// before.
  void prepare(std::int64_t first, std::int64_t count, const RowPairs* pairs, Prepared& batch);
  void take_batch(Prepared& prepared);
  /// Forward, losses, backward and optimiser, of `count` rows and then those of the pairs: launches only.
  void take_step(const FeatureBatch& batch, std::int64_t count, std::int64_t pairs);
  void append_pairs(const RowPairs& pairs, std::int32_t row, Prepared& batch);
  void take_probes();
  bool open(const LlmPair& pair, Id user);
  /// The gate as it is now, for open().
  void fetch_gate();
  void prepare_save() override;
  std::vector<Counter> counters() override;
  std::vector<NamedBuffer> stretch_buffers() override;
  void after_load() override;

  const Config& config_;
  const Split& split_;
  bool fresh_negatives_, skips_closed_;
  std::int64_t batch_size_, stretch_;
  std::vector<CtrRow> rows_;         // positives at even places, each before its negative
  std::vector<std::int64_t> order_;  // of the stretch at hand: places in rows_
  std::unique_ptr<FeatureStore> features_;
  std::unique_ptr<Backbone<float>> backbone_;
  std::unique_ptr<Adam<float>> adam_;
  std::unique_ptr<Selective> selective_;
  std::unique_ptr<RankingScorer> scorer_;
  std::unique_ptr<LaunchGraph> graph_;  // train.cuda_graph
  Buffer<Triple> triples_;              // of the stretch, for the pair sampler: users only
  Buffer<float> labels_;
  Buffer<HeadPair> heads_;
  GateArgs host_gate_;

  std::vector<RowPairs> stretch_pairs_;
  std::vector<Prepared> prepared_;
  std::vector<FeatureRow> probe_rows_;  // of the stretch, two a probe
  std::vector<HeadPair> probe_heads_;
  std::int32_t model_steps_ = 0;
};

}  // namespace sllmr
