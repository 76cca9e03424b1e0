// Which runs an experiment, or a part of it, is made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/experiment_file.h"
#include "experiments/run_table.h"

namespace sllmr {

/// What the command line asks of an experiment. Empty: all of it, as it stands there.
struct ExperimentChoice {
  std::vector<std::string> rows, columns;
  std::vector<std::int64_t> seeds;
  std::vector<std::string> overrides;  // key=value for every run
  std::string out;
  bool fast = false;  // what its [fast] leaves of it, in a folder of its own
};

/// Every run that was asked for. Throws Error for an unknown row or column, overrides of what the experiment
/// sets itself, a seed twice, and a configuration or metric that cannot be.
RunPlan plan_experiment(const Experiment& experiment, const ExperimentChoice& choice);

}  // namespace sllmr
