// What a run asks of a trainer, whatever the backbone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/base/safetensors.h"
#include "host/config/config.h"
#include "host/data/split.h"
#include "host/eval/protocol.h"
#include "host/guidance/guidance.h"
#include "host/scores/score_table.h"
#include "kernels/exec/not_copied.h"
#include "models/named_buffer.h"

namespace sllmr {

/// Parameters, optimiser and sampler position of one run. Every draw is counter-based, so (epoch, row) is all
/// there is to remember of the sampler.
class Trainer : public EvaluatedModel, NotCopied {
 public:
  explicit Trainer(const Context& context) : context_(context) {}

  /// What the rows of an epoch are called: "triples", "rows".
  virtual const char* unit() const = 0;
  virtual std::int64_t rows_per_epoch() const = 0;
  /// Numbers of the model that training may change, state aside.
  virtual std::int64_t parameters() = 0;
  int epoch() const { return epoch_; }  // complete epochs
  /// Rows of the next epoch already taken.
  std::int64_t row() const { return row_ + taken_; }

  /// What whoever starts the run should know; empty: nothing.
  virtual std::string remark() const { return {}; }
  /// What an epoch needs that is found once and takes long, with a progress bar; train_epoch does it where
  /// nobody has. False: interrupted.
  virtual bool prepare_training() { return true; }
  /// Trains until the epoch ends or `stop` says so between two steps; it is told how many rows are done.
  /// Returns the epoch's report once the epoch is complete.
  virtual std::optional<EpochReport> train_epoch(const std::function<bool(std::int64_t rows_done)>& stop) = 0;

  /// Of the backbone's steps to come; between two epochs, before or after resume().
  virtual void set_learning_rate(double rate) = 0;

  /// Parameters, optimiser state and the guidance's, in a fixed order.
  virtual std::vector<NamedBuffer> named_buffers() = 0;
  /// Everything that a bit-identical continuation needs. Every rank calls it, and rank 0 writes.
  void save(const std::string& path, std::map<std::string, std::string> metadata);
  /// A checkpoint, of which this rank reads its own rows.
  SafetensorsFile read(const std::string& path);
  /// Throws Error when the checkpoint has other tensors or shapes. Enough for evaluation.
  void load(const SafetensorsFile& checkpoint);
  /// The same, so that training goes on where it was.
  void resume(const SafetensorsFile& checkpoint);

 protected:
  /// A number of the checkpoint that is no tensor.
  struct Counter {
    const char* name;
    std::int32_t* value;
  };
  /// Brings everything that named_buffers() lists up to date.
  virtual void prepare_save() {}
  virtual std::vector<Counter> counters() = 0;
  /// What a chunk of rows that has begun has summed up so far.
  virtual std::vector<NamedBuffer> chunk_buffers() { return {}; }
  virtual void after_load() {}

  const Context& context_;
  int epoch_ = 0;
  std::int64_t row_ = 0;    // of the next epoch: where the chunk at hand begins
  std::int64_t taken_ = 0;  // rows of the chunk
};

/// Throws Error where the configuration alone tells that it cannot be trained with: an unknown model or
/// method, options that contradict each other, keys without a use.
void check_training(const Config& config);

/// The trainer that config.model.name and config.method ask for: matrix factorisation with BPR and a method
/// that its kernels know has its own (mf_trainer.h), all else is trained through the contract of backbones
/// (deep_trainer.h). Keeps references to its arguments. Throws Error for options that contradict each other,
/// for an unknown model or method and for inputs that lack what the method reads.
std::unique_ptr<Trainer> make_trainer(Context& context, const Config& config, const Split& split,
                                      const GuidanceInputs& inputs);

}  // namespace sllmr
