// Every protocol of evaluation: which rows are scored against which, and what is measured on them. A new one
// is its file and its line in protocol.cpp; config checks, runs and tests enumerate protocols().
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config.h"
#include "host/data/split.h"
#include "host/eval/metric.h"
#include "host/eval/ranking.h"
#include "models/scorer.h"

namespace sllmr {

/// A model with all that its logits need.
class EvaluatedModel {
 public:
  virtual ~EvaluatedModel() = default;
  /// For ranking the items of `target`: what comes before them is known. Holds until the next call, or until
  /// the model is trained further.
  virtual const Scorer& scorer(Target target) = 0;
  /// Logits of labelled rows.
  virtual std::vector<float> ctr_logits(std::span<const CtrRow> rows) = 0;
};

/// What is to be evaluated; refers to what must outlive it.
struct Evaluation {
  const Context& context;
  const Config& config;
  EvaluatedModel& model;
  const Split& split;
  Target target;
};

struct Protocol {
  std::string_view name;  // as eval.protocol spells it
  std::string_view summary;
  std::vector<std::string_view> own_keys;  // config keys that not every protocol has a use for
  /// Does training keep the negatives that it draws first, as the protocol does its own? Else each epoch
  /// draws new ones.
  bool fixed_negatives;
  /// What its metrics can be had of.
  std::vector<Needs> (*offers)(const EvalConfig& config);
  std::vector<std::string_view> counts;  // numbers of rows that evaluate() tells by slice beside its metrics
  std::string_view header;               // first line of a file of predictions: names of columns between tabs
  /// Throws Error where there would be nothing to evaluate.
  void (*check)(const Config& config, const Split& split, Target target);
  /// {"protocol": .., "n": {"all": .., "cold": .., "tail": ..}, a metric: {..}, ...}. Writes a line for each
  /// row to `predictions` where that is not null. Throws Error for a model that gives NaN, Interrupted when
  /// the process is asked to stop.
  nlohmann::json (*evaluate)(const Evaluation& evaluation, std::ostream* predictions);
};

const std::vector<Protocol>& protocols();
/// The protocol of config.eval. Throws Error for an unknown name, for keys of another protocol that are set,
/// and where monitor_of() does.
const Protocol& find_protocol(const Config& config);

/// The metric that says which epoch is best, over all rows of a target.
struct Monitor {
  std::string name;  // "auc", "recall@10"
  Better better;
  Target target;
};
/// What eval.monitor and eval.monitor_on name. Throws Error naming the nearest known metric where the
/// protocol has no such one.
Monitor monitor_of(const Config& config, const Protocol& protocol);

}  // namespace sllmr
