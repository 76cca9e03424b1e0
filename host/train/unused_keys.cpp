#include "host/train/unused_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "host/eval/protocol.h"
#include "host/guidance/registry.h"
#include "host/train/stored_model.h"
#include "models/registry.h"

namespace sllmr {
namespace {

/// What other backbones have parts for.
std::vector<UnusedKey> keys_of_other_backbones(const Config& config) {
  std::vector<std::string> names;
  for (const BackboneInfo& info : backbones()) names.emplace_back(info.name);
  require_known_name(config, "model.name", names);
  const std::vector<std::string_view>& own = find_backbone(config.model.name)->own_keys;
  std::vector<UnusedKey> unused;
  for (const BackboneInfo& info : backbones()) {
    for (const std::string_view key : info.own_keys) {
      if (std::ranges::find(own, key) != own.end()) continue;
      unused.push_back({std::string(key), "model.name=" + config.model.name + " has no such part"});
    }
  }
  if (!find_backbone(config.model.name)->reads_attributes) {
    unused.push_back({"model.user_id", "model.name=" + config.model.name + " is made of ids alone"});
    unused.push_back(
        {"model.embedding_std", "model.name=" + config.model.name + " has no other fields than ids"});
    unused.push_back({"train.embedding_l2",
                      "model.name=" + config.model.name + " is made of embeddings alone; see train.l2"});
  }
  return unused;
}

/// What the trainer has no use for.
std::vector<UnusedKey> keys_of_other_trainers(const Config& config) {
  if (!has_mf_kernels(config)) {
    std::vector<UnusedKey> unused = {
        {"model.init_std",
         fmt::format("model.name={} with train.loss={} and method={} is trained in mini-batches by Adam and "
                     "starts as its paper's code does",
                     config.model.name, value_text(config, "train.loss"), config.method)},
        {"model.item_bias",
         fmt::format(
             "model.name={} with train.loss={} and method={} has no item biases: mf with train.loss=bpr "
             "and a method of its kernels has",
             config.model.name, value_text(config, "train.loss"), config.method)},
        {"train.block_rows",
         fmt::format(
             "model.name={} with train.loss={} and method={} shuffles all rows: only the kernels of mf "
             "with train.loss=bpr take blocks",
             config.model.name, value_text(config, "train.loss"), config.method)}};
    if (!find_backbone(config.model.name)->looks_up_rows) {
      unused.push_back(
          {"train.shard_above",
           fmt::format("model.name={} reads every row in every step: each rank keeps all of them",
                       config.model.name)});
    }
    if (find_protocol(config).fixed_negatives) {
      unused.push_back({"train.negative_power",
                        fmt::format("eval.protocol={} draws the negatives of training once, uniformly",
                                    value_text(config, "eval.protocol"))});
    }
    return unused;
  }
  std::vector<UnusedKey> unused = {
      {"train.cuda_graph", "mf with train.loss=bpr has kernels of its own, few a step"},
      {"train.micro_batches",
       "mf with train.loss=bpr has kernels of its own, which take a mini-batch at once"},
      {"train.shard_above", "several ranks share out all rows of mf with train.loss=bpr"},
      {"gate.skip_below", "mf with train.loss=bpr has kernels of its own, in which every pair is computed"}};
  if (config.train.mode == TrainConfig::Mode::fused) {
    unused.push_back({"train.batch_size", "the fused mode has no mini-batches; see train.chunk_rows"});
    unused.push_back({"llm.max_pairs_per_batch", "the fused mode has no mini-batches; see llm.pair_rate"});
  } else {
    unused.push_back({"train.chunk_rows", "the exact mode updates the gate with each mini-batch"});
  }
  return unused;
}

}  // namespace

std::vector<UnusedKey> unused_keys(const Config& config) {
  std::vector<UnusedKey> unused = inapplicable_keys(config);
  for (auto* keys : {keys_unused_by_method, keys_of_other_backbones, keys_of_other_trainers}) {
    std::ranges::move(keys(config), std::back_inserter(unused));
  }
  return unused;
}

}  // namespace sllmr
