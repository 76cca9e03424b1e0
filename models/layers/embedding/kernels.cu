#include "models/layers/embedding/kernels.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

/// Item: one field of one row. Fields of a row are neighbours, so that threads share the long histories
/// evenly.
template <class Real>
struct BagMean {
  BagMeans<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const BagField<Real>& field = args.fields[item % args.n_fields];
    const std::int64_t bag = item / args.n_fields;
    const int width = static_cast<int>(args.fields[0].table.cols);
    const Real* table = field.table.data;
    const Id* ids = field.ids + field.begin[bag];
    const int length = field.length[bag];
    Real* out = field.out.row(bag);
    int column = 0;
    if constexpr (Lanes::prefetches) {
      // A long bag's rows lie anywhere in the table.
      constexpr int kAhead = 8;
      for (int k = 0; k < length && k < kAhead; ++k) ask_for(table, width, ids[k]);
      const auto ahead = [&](int k) {
        if (k + kAhead < length) ask_for(table, width, ids[k + kAhead]);
      };
      column = blocks<32>(table, width, ids, length, column, out, ahead);
      column = blocks<8>(table, width, ids, length, column, out, ahead);
    }
    for (int d = column + lanes.lane(); d < width; d += Lanes::size) {
      Real sum = 0;
      for (int k = 0; k < length; ++k) sum += table[static_cast<std::int64_t>(ids[k]) * width + d];
      out[d] = length > 1 ? sum / static_cast<Real>(length) : sum;
    }
  }

 private:
  static void ask_for(const Real* table, int width, Id id) {
    const Real* row = table + static_cast<std::int64_t>(id) * width;
    for (int d = 0; d < width; d += 64 / static_cast<int>(sizeof(Real))) prefetch_line(row + d);
  }

  /// As many columns from `column` on as fill blocks of `Columns`, whose sums stay in registers. Returns the
  /// first column that is left. ahead(k) is called before each id of the first block.
  template <int Columns, class Ahead>
  static int blocks(const Real* table, int width, const Id* ids, int length, int column, Real* out,
                    const Ahead& ahead) {
    for (; column + Columns <= width; column += Columns) {
      Real sum[Columns] = {};
      for (int k = 0; k < length; ++k) {
        if (column == 0) ahead(k);
        const Real* row = table + static_cast<std::int64_t>(ids[k]) * width + column;
        SLLMR_ROW_LOOP
        for (int d = 0; d < Columns; ++d) sum[d] += row[d];
      }
      const Real divisor = length > 1 ? static_cast<Real>(length) : Real(1);
      SLLMR_ROW_LOOP
      for (int d = 0; d < Columns; ++d) out[column + d] = sum[d] / divisor;
    }
    return column;
  }
};

/// Item: one key. A lane keeps to its columns.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const BagGradients<Real>& args, std::int64_t item) {
  const int width = static_cast<int>(args.d_means.cols);
  Real* to = args.d_table.row(args.keys[item]);
  for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = 0;
  for (std::int64_t k = args.offsets[item]; k < args.offsets[item + 1]; ++k) {
    if (args.field[k] != args.wanted) continue;
    const std::int64_t bag = args.bag[k];
    const Real* from = args.d_means.row(bag);
    const auto length = static_cast<Real>(args.length[bag]);
    for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] += from[d] / length;
  }
}

template <class Real>
void run_here(const Context& context, const BagMeans<Real>& args) {
  const Matrix<Real>& out = args.fields[0].out;
  const std::int64_t items = out.rows * args.n_fields;
  const BagMean<Real> body{args};
  if (out.cols == 1) {
    launch_each(context, "bag_means", items, body);
  } else {
    launch(context, "bag_means", items, body);
  }
}

}  // namespace

SLLMR_KERNELS(BagMeans)
SLLMR_ITEM_KERNELS(BagGradients, "bag_gradients", args.n)

}  // namespace sllmr
