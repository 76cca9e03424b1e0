// S-LLMR: pairs of a user's scored items, a hinge in the LLM's direction, and a gate that says how far it
// counts (paper.md, section 1).
#pragma once

#include <memory>
#include <vector>

#include "host/guidance/guidance.h"
#include "host/guidance/pair_draws.h"

namespace sllmr {

/// With a deep backbone the rows of guiding pairs join the batch, but for pairs that the gate holds shut
/// (gate.skip_below): one forward and one backward pass serve both losses. They see the history that the LLM
/// saw: all training items but the last. At the end of a chunk the model as it then is scores the chunk's
/// probes, and the gate takes a step: probes teach the model nothing, and among the rows of a batch they
/// would change its batch norm's statistics. The objective `alignment` takes two backward passes more, for
/// the gradients on the user's row that it compares.
class Gated : public Guidance, protected MfPairs {
 public:
  Gated(const GuidanceSetup& setup, const GateSpec& spec);

  std::int64_t most_rows() const override { return setup_.backbone ? 3 * setup_.batch : setup_.batch; }
  MfPairs* mf_pairs() override { return this; }
  std::unique_ptr<BatchPlan::Own> make_own() const override { return std::make_unique<Rows>(); }
  void plan(BatchPlan& plan) override;
  void upload(const BatchPlan& plan) override;
  void loss(const StepView& step) override;
  void end_chunk(int slots, const BatchMaker& make_batch) override;
  void after_load() override { fetch_gate(); }

 protected:
  struct Rows : BatchPlan::Own {
    std::vector<HeadPair> heads;
    std::int64_t left_out = 0;  // guiding pairs that the gate holds shut
  };
  /// Of every row of the batch, [rows x 1], where the gate's uncertainty needs passes; else empty. `step` and
  /// `group` tell the batches of the run apart.
  Tensor<float> uncertainties(const FeatureBatch& batch, std::uint32_t step, std::uint32_t group) const;
  static const Rows& rows_of(const BatchPlan& plan) { return static_cast<const Rows&>(*plan.own); }
  void start_chunk(const Chunk& chunk) override;
  nlohmann::json telemetry(const std::vector<double>& totals) override;

  Buffer<HeadPair> heads_;  // of the step

 private:
  Share pair_rate() const override { return draws_.rate(); }
  void sample(std::uint32_t epoch, std::int64_t first, std::int64_t count, const Triple* triples) override {
    draws_.sample(epoch, first, count, triples);
  }
  RowPairs* pairs() override { return draws_.pairs(); }
  void limit(RowPairs* pairs, std::int64_t count) override { draws_.limit(pairs, count); }

  void add_pair(const RowPairs& pairs, std::int32_t row, BatchPlan& plan);
  /// Whether the gate, as it was at the chunk's start, lets the pair in; counts one that it keeps out.
  bool open(const LlmPair& pair, Id user);
  void count_closed(const GateSignals& signals, float alpha);
  void take_probes(const BatchMaker& make_batch);

  /// The gate as it is now, for open().
  void fetch_gate();

  GateSpec spec_;
  bool skips_closed_;
  std::vector<UserSignals> users_;
  std::vector<ItemSignals> items_;
  Buffer<UserSignals> device_users_;
  Buffer<ItemSignals> device_items_;
  PairDraws draws_;
  Buffer<Triple> triples_;  // of the chunk, for the pair sampler: users only
  std::vector<RowPairs> chunk_pairs_;
  const RowPairs* next_pair_ = nullptr;
  std::vector<FeatureRow> probe_rows_;  // of the chunk, two a probe
  std::vector<HeadPair> probe_heads_;
  GateArgs host_gate_;  // of fetch_gate(), with signals and parameters on the host
  std::vector<float> host_theta_, host_running_;
};

/// The rule and objective of config.method and [gate]. Throws Error for unknown names.
GateSpec gate_spec(const Config& config);
/// Why a gate of this rule and objective has no use for a key of [gate]; empty where it has, and for keys of
/// other sections.
std::string why_gate_key_unused(const Config& config, const GateSpec& spec, std::string_view key);
/// Throws Error where the rule reads an uncertainty that the backbone of the configuration has not.
void check_uncertainty(const Config& config, const GatePart& rule);
/// What reports show of Gated::telemetry().
std::vector<GuidanceColumn> gate_columns();

}  // namespace sllmr
