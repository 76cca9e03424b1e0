// Runs that an experiment is made of: each is done once and kept.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config.h"
#include "host/runs/run_inputs.h"
#include "kernels/exec/error.h"

namespace sllmr {

/// Throws Error where one of `words` (key=value) sets a key that the command sets itself; `remedy` says what
/// to use instead.
void require_not_overridden(std::span<const std::string> words, std::span<const std::string_view> keys,
                            std::string_view remedy);

/// Throws Error where the list of a command's option is empty or has the same value twice.
template <class Value>
void require_distinct(const std::vector<Value>& values, std::string_view option) {
  const std::set<Value> distinct(values.begin(), values.end());
  if (distinct.empty() || distinct.size() < values.size()) {
    throw Error(std::string(option) + ": name each value once, and at least one");
  }
}

/// A run that may begin.
struct CheckedRun {
  RunInputs inputs;
  nlohmann::json stored;  // the summary of a finished run that is reused, or null
};

/// Checks the runs of a table before any is trained. Each data set is loaded once, and each table of scores
/// that is read. Throws Error where a method is unknown, two runs have one folder, data cannot be trained on
/// or ranked, a table leaks, or a folder holds a run that is not to be kept; see run_once().
std::vector<CheckedRun> check_runs(std::span<const Config> runs);

/// The summary of the finished run that is stored in the run's folder, or null; Error as run_once().
nlohmann::json finished_summary(const Config& config, const RunInputs& inputs);

/// The summary of one run: the stored one if it is there and of this configuration and these inputs, else a
/// new or resumed run's. Throws Interrupted where Ctrl-C ended it, and Error where the folder holds a run of
/// another configuration, other data, features, texts or scores, one that another version of the program
/// would not repeat, or a summary that cannot be read; and where the inputs changed since check_runs().
nlohmann::json run_once(const Config& config, const RunInputs& inputs);

}  // namespace sllmr
