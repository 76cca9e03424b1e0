// What a run is told: a TOML recipe, `key=value` overrides, and defaults for the rest. One table in
// config.cpp maps every key to its member, type, range and documentation; `sllmr config` prints it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/data/import.h"
#include "host/scores/noise.h"
#include "host/scores/score_table.h"
#include "kernels/choices.h"
#include "kernels/exec/transport.h"
#include "kernels/gates/uncertainty.h"
#include "kernels/optimizer_list.h"

namespace sllmr {

/// A value as TOML knows it.
using ConfigValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>>;

/// The origin of a key that no file sets.
inline constexpr const char* kCommandLine = "command line";

/// A key that a part of the program brings along: "kd.weight" of the guidance method kd.
struct PartKey {
  std::string name;
  ConfigValue standard;  // its default, of the type that it takes
  std::string doc;
  std::vector<std::string> choices = {};  // of a string
  double low = 0, high = 1e30;            // of a number, or of each in a list
};
/// The keys of all guidance methods; host/guidance/registry.cpp lists them.
const std::vector<PartKey>& part_keys();

struct DataConfig : ImportOptions {
  std::string path;
  int cold_history = 4;
  double tail_share = 0.2;
  int max_history = 20;
  bool allow_missing_attributes = false;
};

struct ModelConfig {
  std::string name = "mf";
  int width = 64;
  double init_std = 0.01;
  bool item_bias = false;
  std::vector<int> hidden = {200, 80};
  double dropout = 0.1;
  CrossKind cross = CrossKind::mixture;
  bool frozen_bias = false;
  bool relu_deep_logit = false;
  bool user_id = true;
  std::optional<double> embedding_std;  // none: as the backbone's paper
};

struct TrainConfig {
  enum class Mode { fused, exact };

  BaseLoss loss = BaseLoss::bpr;
  Mode mode = Mode::fused;
  OptimizerKind optimizer = OptimizerKind::sgd;
  double lr = 0.05;
  double l2 = 0.05;
  std::optional<double> embedding_l2;  // none: l2
  double lr_decay = 1;
  int epochs = 60;
  int batch_size = 128;
  int micro_batches = 1;
  double shard_above = 256;
  std::int64_t chunk_rows = 16384;
  std::int64_t block_rows = 0;
  double negative_power = 0;
  bool cuda_graph = false;
  int eval_every = 0;
  int patience = 0;
  int checkpoint_every = 0;
};

struct LlmConfig {
  enum class Stale { warn, refuse };

  std::string scorer = "lexical";
  std::string scores;
  int candidates = 40;
  int prompt_history = 10;
  double lambda = 0.2;
  double margin = 0.3;
  std::string penalty = "auto";
  PairChoice pairs = PairChoice::sampled;
  int largest_pairs = 16;
  double pair_rate = 1.0;
  int max_pairs_per_batch = 0;
  double noise = 0.0;
  NoiseSlice noise_slice = NoiseSlice::all;
  NoiseKind noise_kind = NoiseKind::uniform;
  Stale stale = Stale::warn;
  double stale_weight = 1.0;
  double max_age_days = 0.0;
  bool allow_leak = false;
  double min_known = kMinKnown;
  std::string encoder = "tfidf";
  std::string vectors;
  int vector_width = 128;
};

struct GateConfig {
  enum class Sides { automatic, mean, least };
  enum class Probes { automatic, any, matched };

  std::string rule = "auto";
  std::string objective = "agreement";
  Sides sides = Sides::automatic;
  Probes probes = Probes::automatic;
  Uncertainty uncertainty = Uncertainty::confidence;
  int mc_passes = 8;
  double lr = 0.1;
  double probe_rate = 0.0625;
  double price = 0.1;
  double mean_alpha = 0.5;
  double budget_weight = 1.0;
  double budget_target = 0.3;
  double skip_below = 0.001;
};

struct EvalConfig {
  enum class MonitorOn { validation, test };

  std::string protocol = "full";
  int max_users = 0;
  std::vector<int> topk = {10, 20};
  bool lists = false;
  std::string monitor = "auc";
  MonitorOn monitor_on = MonitorOn::validation;
};

struct Config {
  enum class Device { automatic, cpu, cuda };

  std::string method = "agreement";
  std::uint64_t seed = 1;
  std::string run_dir;
  Device device = Device::automatic;
  int threads = 0;
  Transport transport = Transport::automatic;
  DataConfig data;
  ModelConfig model;
  TrainConfig train;
  LlmConfig llm;
  GateConfig gate;
  EvalConfig eval;
  std::map<std::string, ConfigValue, std::less<>>
      parts;  // of part_keys(), those with another value than theirs

  /// Who set a key: "recipe.toml:12" or kCommandLine. Keys that nobody set are absent.
  std::map<std::string, std::string, std::less<>> origins;

  /// Was the key ("train.batch_size") set, rather than left at its default? Throws Error for an unknown key.
  bool is_set(std::string_view key) const;
  /// The value of one of part_keys(), whose type is Value. Throws Error for an unknown key.
  template <class Value>
  const Value& part(std::string_view key) const {
    return std::get<Value>(part_value(key));
  }
  const ConfigValue& part_value(std::string_view key) const;
};

/// Reads a recipe (none when `recipe_path` is empty), then applies `key=value` overrides; the last one wins.
/// Relative paths in either are relative to the working directory, not to the recipe. Throws Error naming
/// file, line and remedy for an unknown key, a wrong type, a value out of range, malformed TOML and an
/// unreadable file.
Config load_config(const std::string& recipe_path, std::span<const std::string> overrides);

/// The effective configuration as a recipe that loads to the same Config. Values that nobody set are in
/// [defaults], from where they load without counting as set, so a stored run does not change when a default
/// does.
std::string to_toml(const Config& config);

/// A configuration from what to_toml() wrote; `name` says where that is. Keys that came later have their
/// defaults. Throws Error as load_config() does.
Config parse_config(const std::string& toml, const std::string& name);

/// "train.lr was 0.01, is 0.02": the first key, but for `ignored` ones, whose values differ; else empty.
/// Whether a value was set or left does not matter.
std::string first_difference(const Config& then, const Config& now,
                             std::span<const std::string_view> ignored = {});

/// Throws Error naming key, origin and nearest known name unless the key's value is one of `known`. For keys
/// whose values are registered elsewhere: methods, models, rules, objectives, scorers.
void require_known_name(const Config& config, std::string_view key, std::span<const std::string> known);

/// Throws Error "'train.batch_size' (recipe.toml:4) does not apply: <reason>" when the key was set.
void require_not_set(const Config& config, std::string_view key, std::string_view reason);

/// The key's value as an override takes it: `0.5`, `[10, 20]`, a string without quotes.
std::string value_text(const Config& config, std::string_view key);

/// A row of the key table, as text.
struct ConfigKeyInfo {
  std::string key;            // "llm.lambda"
  std::string type;           // "a number in [0, 1]", "one of fused, exact"
  std::string default_value;  // as TOML
  std::string doc;
};
/// All keys, section by section.
std::vector<ConfigKeyInfo> config_keys();

}  // namespace sllmr
