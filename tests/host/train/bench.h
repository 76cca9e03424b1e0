// Training on made-up worlds without a run folder.
#pragma once

#include <memory>
#include <string>

#include "host/data/synthetic.h"
#include "host/train/trainer.h"
#include "host/train/training.h"
#include "tests/host/support.h"

namespace sllmr {

inline SyntheticOptions small_world(int users, int items) {
  SyntheticOptions options;
  options.users = users;
  options.items = items;
  options.topics = 10;
  return options;
}

/// A trainer and all that it refers to.
class Bench {
 public:
  explicit Bench(const Config& config, int threads = 1, Device device = Device::cpu)
      : config_(config),
        context_(device, threads),
        world_(load_world(config_)),
        method_(resolve_method(config_)) {
    if (method_.uses_llm) table_ = load_scores(config_, world_.split).table;
    trainer_ = make_trainer(context_, config_, method_, world_.split, &table_);
  }
  Trainer& trainer() { return *trainer_; }
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
  RankingResult test() {
    return evaluate_full(context_, trainer_->scorer(Target::test), world_.split, Target::test, {});
  }

 private:
  Config config_;
  Context context_;
  World world_;
  Method method_;
  ScoreTable table_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace sllmr
