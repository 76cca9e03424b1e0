#include "models/layers/graph_embedding/kernels.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

SLLMR_INLINE bool reaches(const std::uint8_t* reach, std::int64_t node, int least) {
  return reach == nullptr || reach[node] >= least;
}

/// A run of rows. Neighbouring runs are far apart in the graph: its rows stand by kind (users, items), the
/// kinds have different degrees, and threads take neighbouring runs.
template <class Real>
struct GraphPropagate {
  static constexpr std::int64_t kRun = 32, kStripes = 64;
  Propagation<Real> args;

  SLLMR_HD static std::int64_t runs_of_stripe(std::int64_t nodes) {
    return (nodes + kRun * kStripes - 1) / (kRun * kStripes);
  }
  static std::int64_t items(std::int64_t nodes) { return runs_of_stripe(nodes) * kRun * kStripes; }

  /// Items first .. first + count - 1 of one run.
  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t first, std::int64_t count) const {
    const std::int64_t run = first / kRun, nodes = args.graph.nodes,
                       row = (run % kStripes * runs_of_stripe(nodes) + run / kStripes) * kRun + first % kRun,
                       end = row + count < nodes ? row + count : nodes;
    if constexpr (Lanes::prefetches) {
      write_rows_ahead(lanes, row, end);
    } else if (row < end && reaches(args.reach, row, args.least_out)) {
      write_row(lanes, row, [](std::int64_t) {});
    }
  }

 private:
  /// On the CPU nothing else hides the memory's latency: asks for the first rows of `x` that later rows need,
  /// and within a row for those of later edges.
  template <class Lanes>
  SLLMR_INLINE void write_rows_ahead(Lanes lanes, std::int64_t row, std::int64_t end) const {
    constexpr int kRowsAhead = 2, kEdgesAhead = 8;
    std::int64_t rows[kRun];
    int n = 0;
    for (; row < end; ++row) {
      rows[n] = row;
      n += reaches(args.reach, row, args.least_out) ? 1 : 0;
    }
    for (int k = -kRowsAhead; k < n; ++k) {
      if (k + kRowsAhead < n) {
        const std::int64_t later = rows[k + kRowsAhead], edge = args.graph.offsets[later],
                           end_edge = args.graph.offsets[later + 1];
        for (int j = 0; j < kEdgesAhead && edge + j < end_edge; ++j) ask_for(edge + j);
      }
      if (k < 0) continue;
      const std::int64_t end_edge = args.graph.offsets[rows[k] + 1];
      write_row(lanes, rows[k], [&](std::int64_t edge) {
        if (edge + kEdgesAhead < end_edge) ask_for(edge + kEdgesAhead);
      });
    }
  }

  /// Prefetches the row of `x` that an edge needs.
  SLLMR_INLINE void ask_for(std::int64_t edge) const {
    const Id node = args.graph.neighbours[edge];
    if (!reaches(args.reach, node, args.least_x)) return;
    const Real* row = args.x.row(node);
    for (std::int64_t d = 0; d < args.x.cols; d += 64 / static_cast<int>(sizeof(Real)))
      prefetch_line(row + d);
  }

  /// `at_edge` is called for each edge of the row, in their order.
  template <class Lanes, class AtEdge>
  SLLMR_INLINE void write_row(Lanes lanes, std::int64_t row, const AtEdge& at_edge) const {
    int column = 0;
    if constexpr (Lanes::size == 1) {
      column = blocks<256 / static_cast<int>(sizeof(Real))>(lanes, row, column, at_edge);
      column = blocks<128 / static_cast<int>(sizeof(Real))>(lanes, row, column, at_edge);
      column = blocks<64 / static_cast<int>(sizeof(Real))>(lanes, row, column, at_edge);
    } else {
      column = blocks<2>(lanes, row, column, at_edge);
    }
    for (int d = column + lanes.lane(); d < static_cast<int>(args.out.cols); d += Lanes::size)
      write<1>(row, d, 1, at_edge);
  }

  /// As many columns from `column` on as fill blocks of `Columns` a lane, whose sums stay in registers.
  /// Returns the first column that is left.
  template <int Columns, class Lanes, class AtEdge>
  SLLMR_INLINE int blocks(Lanes lanes, std::int64_t row, int column, const AtEdge& at_edge) const {
    constexpr int kWidth = Columns * Lanes::size;
    for (; column + kWidth <= static_cast<int>(args.out.cols); column += kWidth)
      write<Columns>(row, column + lanes.lane(), Lanes::size, at_edge);
    return column;
  }

  /// Columns `first` + j * `step`, j < Columns, of one row.
  template <int Columns, class AtEdge>
  SLLMR_INLINE void write(std::int64_t row, int first, int step, const AtEdge& at_edge) const {
    Real sum[Columns];
    SLLMR_ROW_LOOP
    for (int j = 0; j < Columns; ++j) sum[j] = 0;  // GCC clears more than 16 by `rep stos`
    const std::int64_t end = args.graph.offsets[row + 1];
    for (std::int64_t k = args.graph.offsets[row]; k < end; ++k) {
      if (first == 0) at_edge(k);  // the first block asks for the whole row
      const Id node = args.graph.neighbours[k];
      if (!reaches(args.reach, node, args.least_x)) continue;
      const Real scale = args.graph.scale[node];
      const Real* from = args.x.row(node) + first;
      SLLMR_ROW_LOOP
      for (int j = 0; j < Columns; ++j) sum[j] += scale * from[j * step];
    }
    const Real scale = args.graph.scale[row];
    Real* out = args.out.row(row) + first;
    if (reaches(args.reach, row, args.least_base)) {
      const Real* base = args.base.row(row) + first;
      SLLMR_ROW_LOOP
      for (int j = 0; j < Columns; ++j) out[j * step] = args.factor * (base[j * step] + scale * sum[j]);
    } else {
      SLLMR_ROW_LOOP
      for (int j = 0; j < Columns; ++j) out[j * step] = args.factor * (scale * sum[j]);
    }
  }
};

template <class Real>
void run_here(const Context& context, const Propagation<Real>& args) {
  using Body = GraphPropagate<Real>;
  launch_batches<32>(context, "graph_propagate", Body::items(args.graph.nodes), Body::kRun, Body{args});
}

struct MarkBatch {
  BatchNodes args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes /*lanes*/, std::int64_t r) const {
    for (std::int64_t k = args.offsets[r]; k < args.offsets[r + 1]; ++k) {
      if (args.field[k] == args.wanted) args.reach[args.first + args.keys[r]] = args.layers;
    }
  }
};

void run_here(const Context& context, const BatchNodes& args) {
  launch_each(context, "batch_nodes", args.n, MarkBatch{args});
}

/// Item: one node.
struct StepOutwards {
  GraphReach args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t node) const {
    int found = 0;
    const std::int64_t end = args.offsets[node + 1];
    if (args.from[node] == 0) {
      for (std::int64_t k = args.offsets[node] + lanes.lane(); k < end && found == 0; k += Lanes::size)
        found = args.from[args.neighbours[k]] == args.reach + 1 ? 1 : 0;
    }
    found = lanes.sum(found);
    if (lanes.lane() != 0) return;
    args.to[node] = found > 0 ? args.reach : args.from[node];
  }
};

void run_here(const Context& context, const GraphReach& args) {
  launch(context, "graph_reach", args.nodes, StepOutwards{args});
}

}  // namespace

SLLMR_KERNELS(Propagation)
SLLMR_KERNEL(BatchNodes)
SLLMR_KERNEL(GraphReach)

}  // namespace sllmr
