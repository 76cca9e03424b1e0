#include "host/guidance/registry.h"
#include "host/runs/training.h"
#include "host/train/stored_model.h"

namespace sllmr {

std::vector<std::string> summary_numbers(const Config& config) {
  std::vector<std::string> paths = {"seed",
                                    "threads",
                                    "epochs",
                                    "loss",
                                    "parameters",
                                    "seconds.prepare",
                                    "seconds.train",
                                    "seconds.epoch",
                                    "seconds.test",
                                    "seconds.total",
                                    "memory.peak_resident_bytes",
                                    "memory.peak_device_bytes"};
  paths.emplace_back(has_mf_kernels(config) ? "triples_per_s" : "rows_per_s");
  if (config.train.eval_every > 0) paths.insert(paths.end(), {"validation.best", "validation.best_epoch"});
  if (reads_of(config).scores) {
    paths.insert(paths.end(), {"llm.pairs", "llm.users"});
    if (config.llm.scorer == "file") {
      paths.insert(paths.end(),
                   {"llm.unknown_rows", "llm.leakage.held_out_candidates", "llm.leakage.expected_by_chance"});
    }
  }
  return paths;
}

}  // namespace sllmr
