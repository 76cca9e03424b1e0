// Matrix factorisation on a made-up world, guided by vectors of the items' texts.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "host/text/encoder.h"
#include "tests/host/train/bench.h"

namespace sllmr {

class TextRun {
 public:
  explicit TextRun(const Dataset& data, const std::vector<std::string>& words)
      : data_(data), context_(Device::cpu, 1) {
    std::vector<std::string> all = {"model.name=mf",       "model.width=16",       "train.loss=bpr",
                                    "train.mode=exact",    "train.optimizer=adam", "train.lr=0.01",
                                    "train.l2=0",          "train.batch_size=64",  "train.chunk_rows=256",
                                    "llm.vector_width=24", "eval.protocol=full"};
    all.insert(all.end(), words.begin(), words.end());
    config_ = load_config("", all);
    split_ = leave_one_out(data_, {config_.data.cold_history, config_.data.tail_share});
    trainer_ = make_trainer(context_, config_, split_, {nullptr, vectors_for(config_, data_)});
  }

  EpochReport epoch() {
    return *trainer_->train_epoch([](std::int64_t) { return false; });
  }
  std::vector<float> tensor(const std::string& name) {
    trainer_->scorer(Target::validation);  // brings all rows up to date
    for (const NamedBuffer& named : trainer_->named_buffers()) {
      if (named.name == name) return std::get<Buffer<float>*>(named.buffer)->to_host(context_);
    }
    ADD_FAILURE() << name;
    return {};
  }

 private:
  Dataset data_;
  Split split_;
  Context context_;
  Config config_;
  std::unique_ptr<Trainer> trainer_;
};

/// `data` with other held-out items: what is left of each history is the same.
inline Dataset with_other_held_out(Dataset data) {
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto end = static_cast<std::size_t>(data.history_offsets[static_cast<std::size_t>(user) + 1]);
    if (data.user_history(user).size() < 3) continue;
    for (const std::size_t at : {end - 1, end - 2}) {
      data.history[at] = 1 + (data.history[at] + 36) % data.items.count();
    }
  }
  return data;
}

}  // namespace sllmr
