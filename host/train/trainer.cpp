#include "host/train/trainer.h"

#include <algorithm>
#include <utility>

#include "host/guidance/registry.h"
#include "host/train/deep_trainer.h"
#include "host/train/mf_trainer.h"
#include "host/train/stored_buffers.h"
#include "host/train/stored_model.h"
#include "host/train/unused_keys.h"
#include "kernels/exec/communicator.h"

namespace sllmr {

void Trainer::save(const std::string& path, std::map<std::string, std::string> metadata) {
  prepare_save();
  std::vector<NamedBuffer> buffers = named_buffers();
  if (context_.ranks().rank() != 0) return send_rows(context_, buffers);
  if (taken_ > 0) {
    for (NamedBuffer& each : chunk_buffers()) buffers.push_back(std::move(each));
    metadata["taken"] = std::to_string(taken_);
  }
  metadata["epoch"] = std::to_string(epoch_);
  metadata["row"] = std::to_string(row_);
  for (const Counter& counter : counters()) metadata[counter.name] = std::to_string(*counter.value);
  write_safetensors(path, tensor_sources(context_, buffers), metadata);
}

SafetensorsFile Trainer::read(const std::string& path) {
  const std::vector<NamedBuffer> buffers = named_buffers();
  return read_safetensors(path, {}, [&](const std::string& name) {
    const auto found = std::ranges::find(buffers, name, &NamedBuffer::name);
    return found != buffers.end() ? found->shard : RowShard();
  });
}

void Trainer::load(const SafetensorsFile& checkpoint) {
  load_buffers(context_, checkpoint, named_buffers());
  epoch_ = checkpoint.number<int>("epoch");
  row_ = checkpoint.number<std::int64_t>("row");
  require(epoch_ >= 0 && row_ >= 0 && row_ <= rows_per_epoch(),
          "checkpoint '" + checkpoint.path + "' is damaged: it was written at row " + std::to_string(row_) +
              " of " + std::to_string(rows_per_epoch()) + " of epoch " + std::to_string(epoch_));
  taken_ = 0;
  for (const Counter& counter : counters()) *counter.value = checkpoint.number<std::int32_t>(counter.name);
  after_load();
}

void Trainer::resume(const SafetensorsFile& checkpoint) {
  load(checkpoint);
  if (!checkpoint.metadata.contains("taken")) return;
  taken_ = checkpoint.number<std::int64_t>("taken");
  require(taken_ > 0 && taken_ < rows_per_epoch() - row_,
          "checkpoint '" + checkpoint.path + "' is damaged: it was written " + std::to_string(taken_) +
              " rows after row " + std::to_string(row_) + " of " + std::to_string(rows_per_epoch()));
  load_buffers(context_, checkpoint, chunk_buffers());
}

void check_training(const Config& config) {
  require_used(config, unused_keys(config));
  has_mf_kernels(config) ? check_mf_options(config) : check_deep_options(config);
}

std::unique_ptr<Trainer> make_trainer(Context& context, const Config& config, const Split& split,
                                      const GuidanceInputs& inputs) {
  check_training(config);
  const GuidanceReads reads = reads_of(config);
  require(!reads.scores || inputs.table != nullptr, "method=" + config.method + " needs LLM scores");
  require(!reads.vectors || inputs.vectors != nullptr, "method=" + config.method + " needs text vectors");
  if (has_mf_kernels(config)) return std::make_unique<MfTrainer>(context, config, split, inputs);
  return std::make_unique<DeepTrainer>(context, config, split, inputs);
}

}  // namespace sllmr
