// The LLM's side of a training run, whatever the backbone: scores and signals on the device, the gate's
// parameters and their optimiser, accumulators and telemetry.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/data/split.h"
#include "host/llm/score_table.h"
#include "host/train/method.h"
#include "kernels/gates/gate.h"
#include "kernels/pair_sampler.h"
#include "models/named_buffer.h"

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

/// Groups that may add to the accumulators at once without meeting: threads, or enough for a GPU's blocks.
int concurrent_slots(const Context& context);

class Selective {
 public:
  /// `table` may be null only for a method without the LLM. `max_batch`: rows of the largest batch that
  /// keep_largest() sees; `stretch`: rows that one sample() takes; `slots`: accumulators for the kernels.
  Selective(Context& context, const Config& config, const Method& method, const Split& split,
            const ScoreTable* table, std::int64_t max_batch, std::int64_t stretch, int slots);
  ~Selective();

  bool uses_llm() const { return scores_ != nullptr; }
  /// For the kernels: the base loss goes to its slots with and without the LLM.
  const GateArgs& gate() const { return gate_; }
  /// The same with parameters and signals as they lie on the host, without slots; parameters as of the last
  /// fetch_parameters().
  GateArgs host_gate() const;
  /// Which rows of an epoch draw a pair.
  Share pair_rate() const { return pair_rate_; }

  /// Draws the pairs of rows first_row .. first_row + count - 1 of the epoch, whose users are those of
  /// `triples` [count]; they lie densely at pairs(). Needs the LLM.
  void sample(std::uint32_t epoch, std::int64_t first_row, std::int64_t count, const Triple* triples);
  RowPairs* pairs() { return pairs_.data(); }
  /// Of `pairs` [count] only the llm.max_pairs_per_batch guiding ones with the largest gap stay.
  void keep_largest(RowPairs* pairs, std::int64_t count);

  /// Counts one (user, item) of a guiding pair that the gate keeps out of the batch, with its alpha.
  void count_closed(const GateSignals& signals, float alpha);

  /// Adds what count_closed() has seen to the sums on the device, for which it waits.
  void add_closed();

  void start_stretch() { closed_before_ = closed_; }
  /// Takes back what count_closed() has counted since start_stretch(): whoever resumes counts it again.
  void forget_stretch() { closed_ = closed_before_; }
  /// Sums the slots, takes a step of the gate and empties them.
  void finish_stretch(int slots);
  /// The slots, for a checkpoint within a stretch.
  NamedBuffer sums_of_stretch();
  void start_epoch();
  /// The epoch's sums. Throws Error when training has diverged.
  EpochReport report(std::int64_t rows);
  /// Parameters of the gate's rule; empty without one.
  std::vector<float> parameters() const;

  /// Copies the gate's parameters to where host_gate() reads them.
  void fetch_parameters();

  /// What a checkpoint keeps; steps() belongs to it.
  std::vector<NamedBuffer> named_buffers();
  std::int32_t& steps() { return steps_; }

 private:
  struct Scores;

  Context& context_;
  const Config& config_;
  std::unique_ptr<Scores> scores_;  // with the LLM
  Share pair_rate_;
  Buffer<RowPairs> pairs_;
  Buffer<float> slots_, theta_, theta_first_, theta_second_, running_, scratch_;
  Buffer<double> totals_;
  std::vector<float> host_theta_, host_running_;
  std::vector<double> closed_;         // as totals_, of pairs kept out since add_closed(); or empty
  std::vector<double> closed_before_;  // the same at the start of the stretch
  GateArgs gate_;
  std::int32_t steps_ = 0;
};

}  // namespace sllmr
