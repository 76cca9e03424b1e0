#include "host/guidance/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/text/encoder.h"
#include "models/registry.h"

namespace sllmr {

// A method's file defines GuidanceInfo NAME_guidance().
#define SLLMR_GUIDANCE(METHOD) \
  METHOD(none)                 \
  METHOD(gated)                \
  METHOD(pointwise)            \
  METHOD(kd)                   \
  METHOD(dllm2rec)             \
  METHOD(weights)              \
  METHOD(text)                 \
  METHOD(similar)              \
  METHOD(rlmrec)               \
  METHOD(kar)                  \
  METHOD(llmcf)

#define SLLMR_DECLARE(name) GuidanceInfo name##_guidance();
#define SLLMR_LIST(name) name##_guidance(),
SLLMR_GUIDANCE(SLLMR_DECLARE)

const std::vector<GuidanceInfo>& guidance_methods() {
  static const std::vector<GuidanceInfo> all = {SLLMR_GUIDANCE(SLLMR_LIST)};
  return all;
}

const std::vector<PartKey>& part_keys() {
  static const std::vector<PartKey> all = [] {
    std::vector<PartKey> keys;
    for (const GuidanceInfo& info : guidance_methods()) {
      keys.insert(keys.end(), info.keys.begin(), info.keys.end());
    }
    return keys;
  }();
  return all;
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const GuidanceInfo& info : guidance_methods()) {
    names.insert(names.end(), info.words.begin(), info.words.end());
  }
  return names;
}

std::vector<GuidanceColumn> guidance_columns(const std::vector<std::string>& words, bool in_tables) {
  std::vector<GuidanceColumn> columns;
  for (const std::string& word : words) {
    for (const GuidanceInfo& info : guidance_methods()) {
      if (std::ranges::find(info.words, word) == info.words.end()) continue;
      for (const GuidanceColumn& column : info.columns) {
        const bool known = std::ranges::find(columns, column.path, &GuidanceColumn::path) != columns.end();
        if (!known && (column.in_tables || !in_tables)) columns.push_back(column);
      }
    }
  }
  return columns;
}

namespace {

std::vector<std::string_view> backbones_with_extra() {
  std::vector<std::string_view> names;
  for (const BackboneInfo& info : backbones()) {
    if (info.takes_extra) names.push_back(info.name);
  }
  return names;
}

}  // namespace

const GuidanceInfo* guidance_of(std::string_view word) {
  const auto found = std::ranges::find_if(guidance_methods(), [&](const GuidanceInfo& info) {
    return std::ranges::find(info.words, word) != info.words.end();
  });
  return found != guidance_methods().end() ? &*found : nullptr;
}

const GuidanceInfo& find_guidance(const Config& config) {
  require_known_name(config, "method", method_names());
  const GuidanceInfo* found = guidance_of(config.method);
  const BackboneInfo* backbone = find_backbone(config.model.name);
  require(
      found->extra == nullptr || backbone == nullptr || backbone->takes_extra,
      fmt::format("method={} has the backbone read a vector beside its fields, for which model.name={} has "
                  "no place: use {}",
                  config.method, config.model.name, fmt::join(backbones_with_extra(), ", ")));
  found->check(config);
  return *found;
}

GuidanceReads reads_of(const Config& config) {
  return find_guidance(config).reads(config);
}

std::vector<std::string> written_files_of(const Config& config) {
  return find_guidance(config).files(config);
}

std::shared_ptr<const ExampleSource> examples_for(const Config& config, const Split& split,
                                                  const std::shared_ptr<const TextVectors>& vectors) {
  const GuidanceInfo& info = find_guidance(config);
  return info.examples == nullptr ? nullptr : info.examples(config, split, vectors);
}

std::shared_ptr<const TextVectors> vectors_for(const Config& config, const Dataset& data) {
  return reads_of(config).vectors ? text_vectors_of(config, data) : nullptr;
}

namespace {

constexpr std::string_view kAllowLeak = "llm.allow_leak";

/// Of [llm]: where scores come from and what is done to them, the same for all who read them.
constexpr std::string_view kTableKeys[] = {
    "llm.scorer",     "llm.scores", "llm.candidates",   "llm.prompt_history", "llm.noise", "llm.noise_slice",
    "llm.noise_kind", "llm.stale",  "llm.stale_weight", "llm.max_age_days",   kAllowLeak,  "llm.min_known"};

/// The same of the vectors of items' texts.
constexpr std::string_view kVectorKeys[] = {"llm.encoder", "llm.vectors", "llm.vector_width"};

/// The method that brings the key along, or null.
const GuidanceInfo* owner_of(std::string_view key) {
  const auto found = std::ranges::find_if(guidance_methods(), [key](const GuidanceInfo& info) {
    return std::ranges::find(info.keys, key, &PartKey::name) != info.keys.end();
  });
  return found == guidance_methods().end() ? nullptr : &*found;
}

std::string why_unused(const Config& config, const GuidanceInfo& info, std::string_view key) {
  if (const GuidanceInfo* owner = owner_of(key)) {
    if (owner == &info) return info.unused_own(config, key);
    return fmt::format("method={} has no use for it, which is of method={}", config.method,
                       owner->words.front());
  }
  if (!key.starts_with("llm.") && !key.starts_with("gate.")) return {};
  if (std::ranges::find(kVectorKeys, key) != std::end(kVectorKeys)) {
    return info.reads(config).vectors ? "" : fmt::format("method={} reads no text vectors", config.method);
  }
  if (key == kAllowLeak && info.reads(config).scores && config.llm.scorer != "file")
    return "the data are scored as they are, without a table; see llm.scorer=file";
  if (info.reads(config).scores && std::ranges::find(kTableKeys, key) != std::end(kTableKeys)) return {};
  return info.unused(config, key);
}

}  // namespace

std::vector<UnusedKey> keys_unused_by_method(const Config& config) {
  const GuidanceInfo& info = find_guidance(config);
  std::vector<UnusedKey> unused;
  for (const ConfigKeyInfo& key : config_keys()) {
    std::string reason = why_unused(config, info, key.key);
    if (!reason.empty()) unused.push_back({key.key, std::move(reason), /*by_method=*/true});
  }
  return unused;
}

}  // namespace sllmr
