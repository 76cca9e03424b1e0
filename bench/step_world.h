// Tables, uniformly random triples and their pairs, for timing the fused step alone.
#pragma once

#include <cstdint>
#include <string_view>

#include "host/config/config.h"
#include "kernels/exec/memory.h"
#include "kernels/mf_args.h"

namespace sllmr::bench {

struct StepShape {
  int width = 64;
  OptimizerKind optimizer = OptimizerKind::sgd;
  Id user_rows = 22364, item_rows = 12102;   // as Amazon Beauty
  std::int64_t triples = 1 << 20;            // a pass
  std::string_view objective = "agreement";  // of the gate; its rule, penalty and sides are those it asks for
};

/// One step's memory. The learning rate is so small that all hinges stay active: pairs cost their most.
class StepWorld {
 public:
  /// Share of the selected rows that also take a probe pair: training's.
  static inline const double probe_rate = GateConfig{}.probe_rate;

  StepWorld(const Context& context, const StepShape& shape);

  /// One fused step over all triples; a share `pair_rate` of them takes an LLM pair.
  void pass(const Context& context, double pair_rate) const;

  /// Bytes that a triple moves at least: every touched row and its state read and written once, the triple,
  /// and for the share of rows with a pair two item rows and the pair's record, for the share
  /// of those with a probe the two rows that it reads.
  double floor_bytes(double pair_rate) const;
  /// floor_bytes(pair_rate) / floor_bytes(0).
  double floor_overhead(double pair_rate) const { return floor_bytes(pair_rate) / floor_bytes(0); }

 private:
  struct Table {
    Buffer<float> weights, first, second;
    Buffer<std::int32_t> steps;
  };
  static Table make_table(const Context& context, const StepShape& shape, Id rows);
  static TableView view(Table& table);

  StepShape shape_;
  Table users_, items_;
  Buffer<Triple> triples_;
  Buffer<RowPairs> pairs_;  // for all rows; at a lower rate the first of them serve
  Buffer<UserSignals> user_signals_;
  Buffer<ItemSignals> item_signals_;
  Buffer<float> theta_, running_, slots_;
  MfArgs args_;
};

}  // namespace sllmr::bench
