// Trains matrix factorisation with the selective penalty, on either device, in fused or exact mode.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "host/train/trainer.h"
#include "kernels/mf_batch.h"
#include "models/mf.h"

namespace sllmr {

class MfTrainer final : public Trainer {
 public:
  /// `table` may be null only for a method without the LLM. Keeps references to its arguments. Throws Error
  /// for options that contradict each other.
  MfTrainer(Context& context, const Config& config, const Method& method, const Split& split,
            const ScoreTable* table);

  Mf& model() { return *model_; }
  const char* unit() const override { return "triples"; }
  std::int64_t rows_per_epoch() const override { return interactions_.n; }
  std::optional<EpochReport> train_epoch(const std::function<bool(std::int64_t rows_done)>& stop) override;
  const Scorer& scorer(Target) override { return *model_; }
  std::vector<float> ctr_logits(std::span<const CtrRow> rows) override;
  std::vector<NamedBuffer> named_buffers() override;
  std::vector<float> gate_parameters() const override { return selective_->parameters(); }

 private:
  void take_stretch(std::int64_t count);
  std::vector<Counter> counters() override;

  const Config& config_;
  OptimizerKind optimizer_;
  std::unique_ptr<Mf> model_;
  std::unique_ptr<MfBatch> batch_;  // exact mode
  std::unique_ptr<Selective> selective_;

  Buffer<Id> users_, items_, sorted_items_;  // training interactions, one row each
  Buffer<std::int64_t> offsets_;
  InteractionView interactions_;
  std::int64_t batch_size_, stretch_;  // rows of a mini-batch (exact mode), and sampled at once
  Buffer<Triple> triples_;
  MfArgs args_;
  std::int32_t model_steps_ = 0;
};

}  // namespace sllmr
