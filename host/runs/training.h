// A whole run: data, scores, training, checkpoints, evaluation and the run folder.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/data/split.h"
#include "host/eval/ranking.h"
#include "host/scores/report.h"
#include "host/scores/score_table.h"
#include "kernels/exec/communicator.h"

namespace sllmr {

/// A data set and its split, which points into it.
struct World {
  std::shared_ptr<const Dataset> data;
  Split split;
};
World load_world(const Config& config);

/// The LLM scores of a run.
struct LlmScores {
  ScoreTable table;                   // as training takes it: after llm.stale_weight and llm.noise
  std::uint64_t hash = 0;             // before them
  std::optional<LeakageAudit> audit;  // of a table that was read
  std::int64_t unknown_rows = 0;      // of it; see ScoreTable
};
/// For a summary: scorer, sizes and, where it was read, what an audit found.
nlohmann::json to_json(const LlmScores& scores);
/// The LLM scores a configuration asks for: scored here or read from llm.scores, then corrupted as llm.noise
/// says. A table that was read is audited: throws Error where its candidates hold more of the held-out items
/// than chance puts there, unless llm.allow_leak is set, and warns where they hold fewer.
LlmScores load_scores(const Config& config, const Split& split);

/// Throws Error where find_protocol() does, and where the protocol would have nothing to evaluate, in the
/// test or in the validations that train.eval_every asks for.
void check_protocol(const Config& config, const Split& split);

/// Trains as `config` says and writes the run folder config.run_dir: config.toml, metrics.jsonl,
/// guidance.jsonl, users.tsv, items.tsv, model.safetensors, best.safetensors (with train.eval_every: the best
/// by eval.monitor) and summary.json. Returns the summary, or null when Ctrl-C stopped the run; its
/// checkpoint is then saved. With `resume` the run goes on from the checkpoint; throws Error where what
/// decides its figures (run_inputs.h) is not that of the checkpoint. All `ranks` call it alike, see RunRanks.
/// `world`: what load_world() would read, where somebody has.
nlohmann::json train(const Config& config, bool resume, Communicator& ranks = alone(),
                     std::optional<World> world = std::nullopt);

/// The numbers of such a summary, as dotted paths ("seconds.train"), but for those of its "test" and
/// "guidance".
std::vector<std::string> summary_numbers(const Config& config);

struct EvalOptions {
  std::string run_dir;
  Target target = Target::test;
  std::string device = "auto";
  std::string predictions;  // a TSV file for a row each; empty: none
  bool force = false;       // replace a file of that name that holds something else
};
/// Evaluates the checkpoint of a run folder on its data, under its protocol. Returns what summary.json has as
/// "test". Throws Error where data or features are not those of the checkpoint.
nlohmann::json evaluate_run(const EvalOptions& options);

}  // namespace sllmr
