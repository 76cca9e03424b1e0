#include "host/runs/run_inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <span>
#include <string_view>
#include <vector>

#include "host/guidance/gate_module.h"
#include "host/guidance/registry.h"
#include "host/scores/table_origin.h"
#include "host/train/unused_keys.h"
#include "kernels/exec/context.h"
#include "kernels/exec/fnv.h"
#include "models/registry.h"

namespace sllmr {
namespace {

constexpr const char* kNumbers = "numbers_version";
constexpr const char* kData = "data_hash";
constexpr const char* kFeatures = "feature_hash";
constexpr const char* kTexts = "text_hash";
constexpr const char* kScores = "scores_hash";
constexpr const char* kVectors = "vectors_hash";
constexpr const char* kGate = "gate_hash";

}  // namespace

RunInputs run_inputs(const Dataset& data, std::uint64_t scores, std::uint64_t vectors, std::uint64_t gate) {
  return {data.hash, data.feature_hash, data.text_hash, scores, vectors, gate};
}

std::uint64_t vectors_hash(const Config& config, const TextVectors* vectors) {
  const std::vector<std::string> written = written_files_of(config);
  const bool of_file = vectors != nullptr && config.llm.encoder == "file";
  if (!of_file && written.empty()) return 0;
  Fnv<std::uint64_t> hash;
  if (of_file) hash.add_bytes(std::as_bytes(std::span(vectors->values)));
  for (const std::string& path : written) hash.add_number(hash_of_file(path), 8);
  return hash.value();
}

std::map<std::string, std::string> stored_form(const RunInputs& inputs) {
  const auto hex = [](std::uint64_t hash) { return fmt::format("{:016x}", hash); };
  return {{kNumbers, std::to_string(kNumbersVersion)},
          {kData, hex(inputs.data)},
          {kFeatures, hex(inputs.features)},
          {kTexts, hex(inputs.texts)},
          {kScores, hex(inputs.scores)},
          {kVectors, hex(inputs.vectors)},
          {kGate, hex(inputs.gate)}};
}

std::string stored_value(const SafetensorsFile& checkpoint, const std::string& name) {
  const auto found = checkpoint.metadata.find(name);
  return found == checkpoint.metadata.end() ? std::string() : found->second;
}

std::string changed_input(const Config& config, const RunInputs& now, const StoredValue& stored) {
  const BackboneInfo* backbone = find_backbone(config.model.name);
  const bool reads_features = backbone == nullptr || backbone->reads_attributes;
  const GuidanceReads reads = reads_of(config);
  const bool reads_table = config.llm.scorer == "file", reads_file = config.llm.encoder == "file";
  struct Input {
    const char* name;
    std::string what;
    bool counts;
  };
  std::vector<std::string> vector_files = written_files_of(config);
  if (reads.vectors && reads_file) vector_files.insert(vector_files.begin(), config.llm.vectors);
  const std::vector<std::string> gates = gate_files(config);
  const std::string& path = config.data.path;
  const Input inputs[] = {
      {kNumbers, "the figures of this program", true},
      {kData, fmt::format("the data at '{}'", path), true},
      {kFeatures, fmt::format("the items' brands and categories at '{}'", path), reads_features},
      {kTexts, fmt::format("the items' texts at '{}'", path),
       (reads.scores && !reads_table) || (reads.vectors && !reads_file)},
      {kScores, fmt::format("the LLM scores of '{}'", config.llm.scores), reads.scores && reads_table},
      {kVectors, fmt::format("the text vectors of '{}'", fmt::join(vector_files, "', '")),
       !vector_files.empty()},
      {kGate, fmt::format("the gate of '{}'", fmt::join(gates, "', '")), !gates.empty()}};
  const std::map<std::string, std::string> current = stored_form(now);
  for (const Input& input : inputs) {
    const std::string then = stored(input.name);
    if (!input.counts || then == current.at(input.name)) continue;
    return then.empty()
               ? fmt::format("{} (an earlier version of the program, which kept no {}, made it)", input.what,
                             input.name)
               : fmt::format("{} ({} {} then, {} now)", input.what, input.name, then, current.at(input.name));
  }
  return {};
}

void require_same_configuration(const std::string& path, const Config& then, const Config& now) {
  const std::string change = changed_configuration(then, now);
  require(change.empty(),
          fmt::format("{}: cannot resume with another configuration ({}): repeat the first run's recipe and "
                      "overrides, or choose another run_dir",
                      path, change));
}

Config decisive(Config config) {
  config.origins.clear();
  config.run_dir.clear();
  config.transport = Transport::automatic;
  if (config.device == Config::Device::automatic) {
    config.device = parse_device("auto") == Device::cpu ? Config::Device::cpu : Config::Device::cuda;
  }
  const bool asynchronous =
      config.train.mode == TrainConfig::Mode::fused && config.device == Config::Device::cpu;
  config.threads = asynchronous ? Context(Device::cpu, config.threads).threads() : 0;
  return config;
}

std::string changed_configuration(const Config& then, const Config& now) {
  const std::vector<UnusedKey> unused = unused_keys(now);
  std::vector<std::string_view> ignored;
  for (const UnusedKey& each : unused) ignored.push_back(each.key);
  for (const char* key : {"train.checkpoint_every", "train.shard_above"})
    ignored.emplace_back(key);  // decides no figure
  return first_difference(then, decisive(now), ignored);
}

}  // namespace sllmr
