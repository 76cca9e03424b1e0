// Trains matrix factorisation with the selective penalty, on either device, in fused or exact mode; in exact
// mode also by several ranks, which share out the rows of both tables.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "host/train/trainer.h"
#include "kernels/mf_batch.h"
#include "kernels/sharded_mf_batch.h"
#include "models/mf.h"

namespace sllmr {

/// Part of check_training().
void check_mf_options(const Config& config);

class MfTrainer final : public Trainer {
 public:
  /// See make_trainer().
  MfTrainer(Context& context, const Config& config, const Split& split, const GuidanceInputs& inputs);

  Mf& model() { return *model_; }
  const char* unit() const override { return "triples"; }
  std::int64_t parameters() override {
    return (std::int64_t{model_->user_rows()} + model_->item_rows()) * model_->width();
  }
  std::int64_t rows_per_epoch() const override { return interactions_.view().n; }
  std::optional<EpochReport> train_epoch(const std::function<bool(std::int64_t rows_done)>& stop) override;
  void set_learning_rate(double rate) override { args_.optimizer.learning_rate = static_cast<float>(rate); }
  const Scorer& scorer(Target) override { return *model_; }
  std::vector<float> ctr_logits(std::span<const CtrRow> rows) override;
  std::string remark() const override;
  std::vector<NamedBuffer> named_buffers() override;

 private:
  void take_chunk(std::int64_t count);
  /// args_, whose triples are these and those after them.
  void step_by_ranks(std::span<const Triple> triples);
  void prepare_save() override { guidance_->settle(); }
  std::vector<Counter> counters() override;

  const Config& config_;
  OptimizerKind optimizer_;
  std::unique_ptr<Mf> model_;
  std::unique_ptr<MfBatch> batch_;            // exact mode
  std::unique_ptr<ShardedMfBatch> by_ranks_;  // of several ranks, in its place
  std::unique_ptr<Guidance> guidance_;

  InteractionIndex interactions_;
  std::int64_t batch_size_, chunk_;  // rows of a mini-batch (exact mode), and sampled at once
  Buffer<Triple> triples_;
  MfArgs args_;
  std::int32_t model_steps_ = 0;
};

}  // namespace sllmr
