// Draws pairs of scored items for training rows, on the device.
#pragma once

#include <cstdint>
#include <vector>

#include "host/config/config.h"
#include "host/data/split.h"
#include "host/scores/score_table.h"
#include "kernels/exec/memory.h"
#include "kernels/pair_sampler.h"

namespace sllmr {

/// Whether rows draw probes, and what of.
enum class ProbeDraws { none, any, matched };

/// A score table on the device, and how rows draw from it (llm.pairs, llm.pair_rate, gate.probe_rate).
class PairDraws {
 public:
  /// `batch`: most rows that limit() sees; `chunk`: most rows that sample() takes.
  PairDraws(Context& context, const Config& config, const Split& split, const ScoreTable& table,
            ProbeDraws probes, std::int64_t batch, std::int64_t chunk);

  Share rate() const { return policy_.pair_rate; }
  /// See MfPairs.
  void sample(std::uint32_t epoch, std::int64_t first, std::int64_t count, const Triple* triples);
  RowPairs* pairs() { return pairs_.data(); }
  void limit(RowPairs* pairs, std::int64_t count);

 private:
  Context& context_;
  std::uint64_t seed_;
  std::int64_t most_of_batch_;  // llm.max_pairs_per_batch; 0: all
  Buffer<std::int64_t> offsets_, pair_offsets_, match_offsets_;
  Buffer<ScoredItem> entries_;
  Buffer<std::int32_t> probe_;
  Buffer<std::uint16_t> pair_first_, pair_second_, matches_;
  LargestPairs largest_;
  ScoreView view_;
  PairPolicy policy_;
  Buffer<RowPairs> pairs_;
};

}  // namespace sllmr
