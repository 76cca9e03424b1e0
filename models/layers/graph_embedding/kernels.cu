#include "models/layers/graph_embedding/kernels.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

/// Item: one row. Neighbouring items are far apart in the graph: its rows stand by kind (users, items), the
/// kinds have different degrees, and threads take neighbouring items.
template <class Real>
struct GraphPropagate {
  static constexpr std::int64_t kStripes = 64;
  Propagation<Real> args;

  SLLMR_HD static std::int64_t rows_of_stripe(std::int64_t nodes) {
    return (nodes + kStripes - 1) / kStripes;
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t row = item % kStripes * rows_of_stripe(args.graph.nodes) + item / kStripes;
    if (row >= args.graph.nodes) return;
    const int width = static_cast<int>(args.out.cols);
    int column = 0;
    if constexpr (Lanes::size == 1) {
      column = blocks<256 / static_cast<int>(sizeof(Real))>(lanes, row, column);
      column = blocks<64 / static_cast<int>(sizeof(Real))>(lanes, row, column);
    } else {
      column = blocks<2>(lanes, row, column);
    }
    for (int d = column + lanes.lane(); d < width; d += Lanes::size) {
      Real sum[1] = {};
      add_neighbours(row, d, 1, sum);
      store(row, d, 1, sum);
    }
  }

 private:
  /// As many columns from `column` on as fill blocks of `Columns` a lane, whose sums stay in registers.
  /// Returns the first column that is left.
  template <int Columns, class Lanes>
  SLLMR_INLINE int blocks(Lanes lanes, std::int64_t row, int column) const {
    const int width = static_cast<int>(args.out.cols);
    for (; column + Columns * Lanes::size <= width; column += Columns * Lanes::size) {
      Real sum[Columns] = {};
      add_neighbours(row, column + lanes.lane(), Lanes::size, sum);
      store(row, column + lanes.lane(), Lanes::size, sum);
    }
    return column;
  }

  /// sum[j] += scale x over the neighbours, in column `first` + j * `step`.
  template <int Columns>
  SLLMR_INLINE void add_neighbours(std::int64_t row, int first, int step, Real (&sum)[Columns]) const {
    const std::int64_t end = args.graph.offsets[row + 1];
    for (std::int64_t k = args.graph.offsets[row]; k < end; ++k) {
      const Id node = args.graph.neighbours[k];
      const Real scale = args.graph.scale[node];
      const Real* from = args.x.row(node) + first;
      SLLMR_ROW_LOOP
      for (int j = 0; j < Columns; ++j) sum[j] += scale * from[j * step];
    }
  }

  template <int Columns>
  SLLMR_INLINE void store(std::int64_t row, int first, int step, const Real (&sum)[Columns]) const {
    const Real scale = args.graph.scale[row];
    const Real* base = args.base.row(row) + first;
    Real* out = args.out.row(row) + first;
    SLLMR_ROW_LOOP
    for (int j = 0; j < Columns; ++j) out[j * step] = args.factor * (base[j * step] + scale * sum[j]);
  }
};

template <class Real>
void run_here(const Context& context, const Propagation<Real>& args) {
  using Body = GraphPropagate<Real>;
  launch(context, "graph_propagate", Body::kStripes * Body::rows_of_stripe(args.graph.nodes), Body{args});
}

}  // namespace

SLLMR_KERNELS(Propagation)

}  // namespace sllmr
