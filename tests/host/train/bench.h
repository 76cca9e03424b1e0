// Training on made-up worlds without a run folder.
#pragma once

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "host/data/synthetic.h"
#include "host/eval/protocol.h"
#include "host/guidance/registry.h"
#include "host/runs/training.h"
#include "host/train/trainer.h"
#include "tests/host/support.h"

namespace sllmr {

inline SyntheticOptions small_world(int users, int items) {
  SyntheticOptions options;
  options.users = users;
  options.items = items;
  options.topics = 10;
  return options;
}

/// A small backbone on a small data set under protocol `ctr`; later words win.
inline std::vector<std::string> small_ctr_words(const std::string& path, const std::string& method,
                                                const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"data.path=" + path, "device=cpu",          "threads=1",
                                    "model.name=deepfm", "model.width=8",       "model.hidden=[16, 8]",
                                    "train.loss=bce",    "train.mode=exact",    "train.optimizer=adam",
                                    "train.lr=0.01",     "train.batch_size=64", "train.chunk_rows=256",
                                    "train.epochs=2",    "eval.protocol=ctr",   "method=" + method};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Overrides as a recipe sets them: it may serve methods that have no use for some.
inline Config recipe_of(const std::vector<std::string>& words) {
  Config config = load_config("", words);
  for (auto& [key, origin] : config.origins) origin = "recipe";
  return config;
}

/// A number that the guidance tells of an epoch; 0 where it does not.
inline double told(const EpochReport& report, const char* name) {
  const bool tells = report.guidance.is_object() && report.guidance.contains(name);
  return tells && report.guidance[name].is_number() ? report.guidance[name].get<double>() : 0.0;
}

/// Takes all tensors out of a checkpoint but those of these names.
inline void keep_tensors(const std::string& path, const std::vector<std::string>& names) {
  const SafetensorsFile stored = read_safetensors(path);
  std::vector<TensorView> kept;
  for (const StoredTensor& tensor : stored.tensors) {
    if (std::ranges::find(names, tensor.name) == names.end()) continue;
    kept.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  }
  ASSERT_LT(kept.size(), stored.tensors.size()) << "there is nothing to take out";
  write_safetensors(path, kept, stored.metadata);
}

/// A trainer and all that it refers to.
class Bench {
 public:
  explicit Bench(const Config& config, int threads = 1, Device device = Device::cpu,
                 Communicator* ranks = nullptr)
      : config_(config), context_(device, threads, ranks), world_(load_world(config_)) {
    if (reads_of(config_).scores) table_ = load_scores(config_, world_.split).table;
    trainer_ = make_trainer(context_, config_, world_.split, {&table_, vectors_for(config_, *world_.data)});
  }
  Trainer& trainer() { return *trainer_; }
  const Split& split() const { return world_.split; }
  /// All epochs that are left.
  EpochReport train() {
    EpochReport last;
    while (trainer_->epoch() < config_.train.epochs) {
      last = *trainer_->train_epoch([](std::int64_t) { return false; });
    }
    return last;
  }
  /// The bytes of a checkpoint, which is written to `path`.
  std::string checkpoint(const std::string& path) {
    trainer_->save(path, {});
    return read_all(path);
  }
  /// Parameters of the gate's rule.
  std::vector<float> gate_parameters() {
    for (const NamedBuffer& named : trainer_->named_buffers()) {
      if (named.name == "gate.theta") return std::get<Buffer<float>*>(named.buffer)->to_host(context_);
    }
    return {};
  }
  /// What the configuration's protocol tells of the test rows.
  nlohmann::json figures() {
    return find_protocol(config_).evaluate({context_, config_, *trainer_, world_.split, Target::test},
                                           nullptr);
  }
  RankingResult test() {
    return evaluate_full(context_, trainer_->scorer(Target::test), world_.split, Target::test, {});
  }

 private:
  Config config_;
  Context context_;
  World world_;
  ScoreTable table_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace sllmr
