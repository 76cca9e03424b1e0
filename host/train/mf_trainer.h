// Trains matrix factorisation with the selective penalty, on either device, in fused or exact mode.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/data/split.h"
#include "host/llm/score_table.h"
#include "host/train/method.h"
#include "host/train/safetensors.h"
#include "kernels/mf_batch.h"
#include "models/mf.h"

namespace sllmr {

/// What one epoch did, summed on the device while it trained.
struct EpochReport {
  std::int64_t rows = 0;
  double loss = 0;  // mean base loss of a row
  double pairs = 0, probes = 0;
  double mean_alpha = 0;      // over the (user, item) of all pairs; 0 without the LLM
  double active_share = 0;    // pairs with a positive hinge
  double mean_agreement = 0;  // of the LLM with behaviour, over probe pairs; in [-1, 1]
  /// By cold x tail bucket: warm head, warm tail, cold head, cold tail.
  struct Bucket {
    double count = 0, mean = 0, deviation = 0;  // of alpha
  };
  std::array<Bucket, 4> buckets;
};
/// What telemetry and summary say of the gate; report_from_json reads it back.
nlohmann::json to_json(const EpochReport& report);
EpochReport report_from_json(const nlohmann::json& json);

/// Parameters, optimiser and sampler position of one run. Every draw is counter-based, so (epoch, row) is all
/// there is to remember of the sampler.
class MfTrainer {
 public:
  /// `table` may be null only for a method without the LLM. Keeps references to its arguments. Throws Error
  /// for options that contradict each other.
  MfTrainer(Context& context, const Config& config, const Method& method, const Split& split,
            const ScoreTable* table);
  ~MfTrainer();

  Mf& model() { return *model_; }
  std::int64_t rows_per_epoch() const { return interactions_.n; }
  int epoch() const { return epoch_; }       // complete epochs
  std::int64_t row() const { return row_; }  // rows of the next epoch already taken

  /// Trains until the epoch ends or `stop` says so between two stretches of rows; it is told how many rows
  /// are done. Returns the epoch's report once the epoch is complete.
  std::optional<EpochReport> train_epoch(const std::function<bool(std::int64_t rows_done)>& stop);

  /// Everything that a bit-identical continuation needs.
  void save(const std::string& path, std::map<std::string, std::string> metadata);
  /// Throws Error when the checkpoint has other shapes.
  void load(const SafetensorsFile& checkpoint);
  /// Parameters of the gate's rule; empty without one.
  std::vector<float> gate_parameters() const;

 private:
  struct Scores;

  void take_stretch(std::int64_t count);
  void finish_gate_stretch(int slots);
  EpochReport report() const;
  template <class Function>
  void for_each_state(Function&& function);

  Context& context_;
  const Config& config_;
  Method method_;
  OptimizerKind optimizer_;
  std::unique_ptr<Mf> model_;
  std::unique_ptr<MfBatch> batch_;  // exact mode
  std::unique_ptr<Scores> scores_;  // with the LLM

  Buffer<Id> users_, items_, sorted_items_;  // training interactions, one row each
  Buffer<std::int64_t> offsets_;
  InteractionView interactions_;
  std::int64_t stretch_;  // rows sampled at once
  Buffer<Triple> triples_;
  Buffer<RowPairs> pairs_;

  Buffer<float> slots_, theta_, theta_first_, theta_second_, running_, gate_scratch_;
  Buffer<double> totals_;
  MfArgs args_;
  int epoch_ = 0;
  std::int64_t row_ = 0;
  std::int32_t gate_steps_ = 0, model_steps_ = 0;
};

}  // namespace sllmr
