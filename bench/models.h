// The deep backbones: how long an epoch takes, what the selective penalty costs, how much memory a run holds.
#pragma once

#include <string>
#include <vector>

#include "bench/measure.h"
#include "bench/report.h"
#include "host/data/split.h"

namespace sllmr::bench {

/// The backbones of the registry that bench_models() times.
std::vector<std::string> benched_models();

/// Adds report.json["models"]: an object for each of the backbones. `torch`: a Python interpreter
/// that has PyTorch, for the ratio to bench/peers/ctr_torch.py in the same run; empty: no ratio.
void bench_models(Context& context, const Stopwatch& watch, const Split& split,
                  const std::vector<std::string>& names, const std::string& torch, Report& report);

}  // namespace sllmr::bench
