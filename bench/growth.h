// What a training row costs as the data grow.
#pragma once

#include "bench/measure.h"
#include "bench/report.h"
#include "kernels/exec/context.h"

namespace sllmr::bench {

/// Fused SGD, width 64, over made-up interactions of growing number: sampling and steps of 2^20 rows a
/// sample. Adds growth_N_seconds_per_row for each number N, and growth_ratio, the cost a row of the largest
/// over that of the smallest.
void bench_growth(const Context& context, Report& report);

}  // namespace sllmr::bench
