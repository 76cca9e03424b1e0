// Training beside another process.
#pragma once

#include "bench/report.h"
#include "host/data/split.h"
#include "kernels/exec/context.h"

namespace sllmr::bench {

/// Adds company_mf, company_mf_exact and company_deepfm: the time of training beside a process that keeps a
/// core busy over the time alone, alternating.
void bench_company(Context& context, const Split& split, Report& report);

}  // namespace sllmr::bench
