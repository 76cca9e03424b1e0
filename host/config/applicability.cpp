#include "host/config/applicability.h"

#include <string>

namespace sllmr {
namespace {

struct Condition {
  const char* key;
  bool (*applies)(const Config&);
  const char* otherwise;
};

constexpr auto kReadsTable = [](const Config& c) { return c.llm.scorer == "file"; };
constexpr auto kIsNoisy = [](const Config& c) { return c.llm.noise > 0; };
constexpr auto kScoresItself = [](const Config& c) { return c.llm.scorer != "file"; };

constexpr const char* kNoTable = "the data are scored as they are, without a table; see llm.scorer=file";
constexpr const char* kNoNoise = "llm.noise is 0";
constexpr const char* kFinished = "llm.scorer=file reads a finished table";

constexpr Condition kConditions[] = {
    {"train.patience", [](const Config& c) { return c.train.eval_every > 0 || c.train.patience == 0; },
     "nothing is validated; set train.eval_every, or train.patience=0"},
    {"eval.monitor",
     [](const Config& c) { return c.train.eval_every > 0 || c.eval.monitor == EvalConfig().monitor; },
     "nothing is validated; set train.eval_every"},
    {"train.lr_decay", [](const Config& c) { return c.train.eval_every > 0 || c.train.lr_decay == 1; },
     "nothing is validated; set train.eval_every, or train.lr_decay=1"},
    {"eval.monitor_on",
     [](const Config& c) {
       return c.train.eval_every > 0 || c.eval.monitor_on == EvalConfig::MonitorOn::validation;
     },
     "nothing is validated; set train.eval_every"},
    {"llm.scores", kReadsTable, kNoTable},
    {"llm.stale", kReadsTable, kNoTable},
    {"llm.stale_weight", kReadsTable, kNoTable},
    {"llm.max_age_days", kReadsTable, kNoTable},
    {"llm.min_known", kReadsTable, kNoTable},
    {"llm.candidates", kScoresItself, kFinished},
    {"llm.prompt_history", kScoresItself, kFinished},
    {"llm.largest_pairs", [](const Config& c) { return c.llm.pairs == PairChoice::largest; },
     "llm.pairs=sampled draws from all pairs"},
    {"gate.mc_passes", [](const Config& c) { return c.gate.uncertainty == Uncertainty::mc_dropout; },
     "gate.uncertainty is made of one pass; see gate.uncertainty=mc_dropout"},
    {"llm.vectors", [](const Config& c) { return c.llm.encoder == "file"; },
     "the vectors are made here, of the data's texts; see llm.encoder=file"},
    {"llm.vector_width", [](const Config& c) { return c.llm.encoder == "tfidf"; },
     "finished vectors have their width"},
    {"llm.noise_slice", kIsNoisy, kNoNoise},
    {"llm.noise_kind", kIsNoisy, kNoNoise},
};

}  // namespace

std::vector<UnusedKey> inapplicable_keys(const Config& config) {
  std::vector<UnusedKey> unused;
  for (const Condition& condition : kConditions) {
    if (!condition.applies(config)) unused.push_back({condition.key, condition.otherwise});
  }
  return unused;
}

void require_used(const Config& config, std::span<const UnusedKey> unused) {
  for (const UnusedKey& each : unused) {
    if (!config.is_set(each.key)) continue;
    if (each.by_method && config.origins.find(each.key)->second != kCommandLine) continue;
    require_not_set(config, each.key, each.reason);
  }
}

}  // namespace sllmr
