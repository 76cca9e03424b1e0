// How an LLM's scores guide training. A method is one file and one line in registry.cpp: the trainers,
// config, summaries, telemetry, commands and tests know it by what stands here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/applicability.h"
#include "host/config/config.h"
#include "host/data/features.h"
#include "host/data/split.h"
#include "host/guidance/gate_state.h"
#include "host/scores/score_table.h"
#include "host/text/text_vectors.h"
#include "kernels/exec/not_copied.h"
#include "kernels/loss_head.h"
#include "models/backbone.h"
#include "models/layers/frozen_vectors/frozen_vectors.h"
#include "models/named_buffer.h"

namespace sllmr {

/// What one epoch did, summed on the device while it trained.
struct EpochReport {
  std::int64_t rows = 0;
  double loss = 0;          // mean base loss of a row
  nlohmann::json guidance;  // what the method tells of it, an object; null for one that tells nothing
};
nlohmann::json to_json(const EpochReport& report);
/// Throws nlohmann::json::exception for something else.
EpochReport report_from_json(const nlohmann::json& json);

/// What guided training reads beside the data; null what its method does not.
struct GuidanceInputs {
  const ScoreTable* table = nullptr;
  std::shared_ptr<const TextVectors> vectors = nullptr;  // wanted until the backbone has its own of them
};

/// What a method is made for. What is referred to must outlive it.
struct GuidanceSetup {
  Context& context;
  const Config& config;
  const Split& split;
  const ScoreTable* table;  // of a method that reads scores; else null
  /// Of one that reads vectors, else null. Guidance keeps none: who wants them in training takes a share.
  std::shared_ptr<const TextVectors> vectors;
  std::int64_t batch;                   // most training rows of a step
  std::int64_t chunk;                   // most training rows between two ends of a chunk
  int slots;                            // accumulators that the base loss takes
  Backbone<float>* backbone = nullptr;  // null: the kernels of matrix factorisation take the pairs themselves
};

/// Training rows that follow each other in the epoch, before which the method last took a step of its own.
struct Chunk {
  std::uint32_t epoch;
  std::int64_t first, count;  // rows of the epoch
  std::int64_t batch;         // rows of a batch, the last of the chunk aside
  std::span<const Id> users;  // [count]
};

/// A batch of a chunk on the host, before its features are assembled.
struct BatchPlan {
  /// What a method keeps of a batch.
  struct Own {
    virtual ~Own() = default;
  };

  std::int64_t first = 0, count = 0;  // training rows of the epoch
  std::vector<FeatureRow> rows;       // [count], then those that the method adds
  std::vector<float> targets;         // [count]: labels, 0 or 1, where a method does not soften them
  std::vector<float> weights;         // [count], or empty: 1 each
  std::size_t twins = 0;              // see FeatureBatcher::assemble()
  std::unique_ptr<Own> own;           // from Guidance::make_own()
};

/// A step on the device, between forward and backward.
struct StepView {
  const BatchPlan& plan;
  const FeatureBatch& batch;
  Backbone<float>& backbone;
  const Backbone<float>::Saved& saved;
  const Pass& pass;  // forward's
  LossHead head;     // of the base loss, without pairs
  /// Of a loss that acts on backbone.vectors(saved), too: where it puts its gradients by them.
  RowVectors<float>& d_vectors;
};

/// Makes a batch of rows that train nothing, for which the model is up to date. It is there until the next.
using BatchMaker = std::function<const FeatureBatch&(std::span<const FeatureRow> rows)>;

/// The model's `k` best items of each user, as it is now; see best_items().
using ItemRanker = std::function<std::vector<Id>(std::span<const Id> users, int k)>;

/// The pairs that the kernels of matrix factorisation take with their triples.
class MfPairs {
 public:
  virtual ~MfPairs() = default;
  /// Which rows of an epoch draw a pair.
  virtual Share pair_rate() const = 0;
  /// Draws the pairs of rows first .. first + count - 1 of the epoch, whose users are those of `triples`
  /// [count]; they lie densely at pairs().
  virtual void sample(std::uint32_t epoch, std::int64_t first, std::int64_t count, const Triple* triples) = 0;
  virtual RowPairs* pairs() = 0;
  /// Of the pairs [count] of a mini-batch only those that llm.max_pairs_per_batch lets in stay.
  virtual void limit(RowPairs* pairs, std::int64_t count) = 0;
};

/// One method in one run. As it stands it is none at all: the base loss alone.
class Guidance : NotCopied {
 public:
  explicit Guidance(const GuidanceSetup& setup, const GateSpec& spec = {}, std::int64_t own_slots = 0);
  virtual ~Guidance() = default;

  /// Most rows of a batch, those that the method adds included.
  virtual std::int64_t most_rows() const { return setup_.batch; }
  /// Accumulators, for the base loss too, and the gate where there is one.
  const GateArgs& gate() const { return state_.gate(); }
  virtual MfPairs* mf_pairs() { return nullptr; }
  /// Numbers that train beside the model and are no part of it, the gate's aside.
  virtual std::int64_t parameters() const { return 0; }

  /// Of the gate's rule.
  int gate_params() const { return state_.n_params(); }
  /// See GateState.
  void step_on_first_rank() { state_.step_on_first_rank(); }
  void gather_slots() { state_.gather_slots(); }
  void keep_own_slots() { state_.keep_own_slots(); }

  void start_epoch() { state_.start_epoch(); }
  /// Before every `epoch` but the first, 0, of a backbone alone: looks at what the model would recommend.
  /// Throws Interrupted when the process is asked to stop, with nothing changed. What is learnt must be in
  /// named_buffers(), as whoever resumes within the epoch is not asked again.
  virtual void look_at_model(std::uint32_t /*epoch*/, const ItemRanker& /*rank*/) {}
  /// Before the batches of the chunk, also where training goes on within it.
  void begin_chunk(const Chunk& chunk);
  virtual std::unique_ptr<BatchPlan::Own> make_own() const { return nullptr; }
  /// Softens targets, sets weights, adds rows; batch by batch in the chunk's order. May run beside the steps
  /// of batches before.
  virtual void plan(BatchPlan& /*plan*/) {}
  /// Brings what plan() made to the device; the step follows.
  virtual void upload(const BatchPlan& /*plan*/) {}
  /// Loss of the step: writes the gradient of every logit, and adds the base loss to its slots. Launches
  /// only.
  virtual void loss(const StepView& step) { run(setup_.context, step.head); }
  /// After the last batch of the chunk, of whose slots the first `slots` were used. `make_batch` is null
  /// with the kernels of matrix factorisation.
  virtual void end_chunk(int slots, const BatchMaker& /*make_batch*/) { state_.step(slots); }
  /// Training stops within the chunk: whoever resumes begins it again.
  void leave_chunk() { counted_ = counted_before_; }
  /// The epoch's sums. Throws Error when training has diverged.
  EpochReport report(std::int64_t rows);

  /// What a checkpoint keeps; steps() belongs to it.
  virtual std::vector<NamedBuffer> named_buffers() { return state_.named_buffers(); }
  /// The same of a chunk that is under way.
  std::vector<NamedBuffer> chunk_buffers() { return {state_.sums_of_chunk()}; }
  std::int32_t& steps() { return state_.steps(); }
  /// Brings them up to date.
  void settle();
  virtual void after_load() {}

 protected:
  virtual void start_chunk(const Chunk& /*chunk*/) {}
  /// Adds to a column of the totals what plan() has seen on the host. A method without a gate may use the
  /// gate's columns for sums of its own.
  void count(int column, double value);
  /// What the method tells of an epoch, from GateState::totals(). A "warning" in it is said when training
  /// ends.
  virtual nlohmann::json telemetry(const std::vector<double>& /*totals*/) { return nullptr; }
  /// Throws Error for NaN and infinities.
  static void require_converged(double figure);

  GuidanceSetup setup_;
  GateState state_;

 private:
  std::vector<double> counted_;         // by GateColumns, since settle(); or empty
  std::vector<double> counted_before_;  // the same at the start of the chunk
};

/// A number of EpochReport::guidance that reports show.
struct GuidanceColumn {
  std::string title;
  std::string path;       // as of a JSON pointer: "/buckets/warm_head/mean_alpha"
  bool in_tables = true;  // beside the metrics, or of a single run alone
};

/// What a method reads beside the data.
struct GuidanceReads {
  bool scores = true;    // a table of LLM scores
  bool vectors = false;  // of the items' texts (host/text/text_vectors.h)
};

/// What an extra vector is made from.
struct ExtraSources {
  ItemVectors vectors;                      // of the items' texts
  const ExampleSource* examples = nullptr;  // what the method's batches bring along; null: nothing
  const Dataset* data = nullptr;
  std::string encoder;  // and model, that made the vectors; empty: not told
};

/// A registered method.
struct GuidanceInfo {
  std::string_view name;
  std::string_view summary;
  std::vector<std::string> words;  // what `method=` takes for it
  GuidanceReads (*reads)(const Config&) = [](const Config&) { return GuidanceReads{}; };
  /// Files of vectors of written texts (host/text/written_vectors.h) that it reads beside llm.vectors.
  std::vector<std::string> (*files)(const Config&) = [](const Config&) { return std::vector<std::string>(); };
  /// Throws Error for such a file that a run on these data, beside these vectors of the items (null: not of
  /// a file), would refuse.
  void (*check_files)(const Config&, const Split&, const TextVectors*) = [](const Config&, const Split&,
                                                                            const TextVectors*) {};
  bool reads_gate = false;         // gate.rule, gate.objective and llm.penalty, or some of them
  bool trains_mf = false;          // the kernels of matrix factorisation know it
  std::vector<PartKey> keys = {};  // config keys of its own
  /// Why it has no use for a key of [llm] or [gate] that says nothing of the table; empty where it has.
  std::string (*unused)(const Config& config, std::string_view key) = [](const Config& config,
                                                                         std::string_view /*key*/) {
    return "method=" + config.method + " has no use for it";
  };
  /// The same of a key of its own, beside others of its own.
  std::string (*unused_own)(const Config& config, std::string_view key) =
      [](const Config& /*config*/, std::string_view /*key*/) { return std::string(); };
  /// Throws Error for a configuration that it cannot train with.
  void (*check)(const Config&) = [](const Config&) {};
  bool in_micro_batches = true;  // what it does to the loss of a part of a batch is that part's share
  std::unique_ptr<Guidance> (*make)(const GuidanceSetup&) = nullptr;
  std::vector<GuidanceColumn> columns = {};
  /// Of a method that has the backbone read one more vector: what makes it; null where the method is switched
  /// off.
  std::shared_ptr<const ExtraVectorMaker> (*extra)(const Config&, const ExtraSources&) = nullptr;
  /// Of a method whose batches bring labelled rows of training along: which; null where it is switched off.
  std::shared_ptr<const ExampleSource> (*examples)(const Config&, const Split&,
                                                   const std::shared_ptr<const TextVectors>&) = nullptr;
};

}  // namespace sllmr
