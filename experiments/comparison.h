// What `sllmr compare` runs: methods by row, in one column, by seed.
#pragma once

#include <string>
#include <vector>

#include "experiments/run_table.h"

namespace sllmr {

struct Comparison {
  std::string recipe, out;             // no recipe: the defaults
  std::vector<std::string> overrides;  // key=value, for every run that has a use for the key
  /// Rows, one or several to a text between commas: METHOD or METHOD:key=value:key=value.
  std::vector<std::string> methods = {"none,global,hinge,agreement"};
  std::vector<std::string> metrics;  // columns, as methods; empty: the usual ones
  std::vector<int> seeds = {1, 2, 3};
  bool force = false;
  std::string shard = kWholeTable;
};

/// Throws Error naming the option of `sllmr compare` that is at fault.
RunPlan plan_comparison(const Comparison& comparison);

}  // namespace sllmr
