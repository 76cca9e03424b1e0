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
/// "none", and the methods of guidance that have a backbone read an extra vector.
std::vector<std::string> benched_extras();

struct ModelsOptions {
  std::vector<std::string> backbones = benched_models();
  std::vector<std::string> extras = {"none"};  // of benched_extras()
  int batch = 128;                             // rows
  std::string torch;      // a Python that has PyTorch, for the ratio to bench/peers/ctr_torch.py; empty: none
  bool compiled = false;  // the ratio to the peer under torch.compile too
};

/// Adds report.json["models"]: an object for each of the backbones, and BACKBONE_EXTRA for each with each
/// extra vector, of random item vectors. A backbone that takes none has no such object.
void bench_models(const Context& context, const Stopwatch& watch, const Split& split,
                  const ModelsOptions& options, Report& report);

}  // namespace sllmr::bench
