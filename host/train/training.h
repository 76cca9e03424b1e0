// A whole run: data, scores, training, checkpoints, evaluation and the run folder.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "host/config/config.h"
#include "host/data/split.h"
#include "host/eval/ranking.h"
#include "host/llm/score_table.h"
#include "host/train/method.h"

namespace sllmr {

/// A data set and its split, which points into it.
struct World {
  std::unique_ptr<Dataset> data;
  Split split;
};
World load_world(const Config& config);

/// The LLM scores a configuration asks for: scored here or read from llm.scores, then corrupted as llm.noise
/// says. Probes are checked for leaks.
ScoreTable load_scores(const Config& config, const Split& split);

/// Trains as `config` says and writes the run folder config.run_dir: config.toml, metrics.jsonl, gate.jsonl,
/// model.safetensors, best.safetensors (with train.eval_every) and summary.json. Returns the summary, or null
/// when Ctrl-C stopped the run; its checkpoint is then saved. With `resume` the run goes on from the
/// checkpoint; throws Error where configuration, data or scores are not those of the checkpoint.
nlohmann::json train(const Config& config, bool resume);

struct EvalOptions {
  std::string run_dir;
  Target target = Target::test;
  std::string device = "auto";
  std::string predictions;  // a TSV file for a row each; empty: none
};
/// Evaluates the checkpoint of a run folder on its data, under its protocol. Returns what summary.json has as
/// "test".
nlohmann::json evaluate_run(const EvalOptions& options);

}  // namespace sllmr
