#include "kernels/tree_sums.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

template <class Real, int Parts>
struct TreeSum {
  TreeSums<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    const auto width = static_cast<int>(args.out.cols);
    int column = 0;
    if constexpr (Lanes::size == 1) {
      constexpr int kColumns = 64 / static_cast<int>(sizeof(Real));
      for (; column + kColumns <= width; column += kColumns) sum<kColumns>(k, column);
    }
    for (column += lanes.lane(); column < width; column += Lanes::size) sum<1>(k, column);
  }

 private:
  template <int Columns>
  SLLMR_INLINE void sum(std::int64_t k, int column) const {
    Real x[Parts][Columns];
    bool there[Parts];
    SLLMR_UNROLL
    for (int p = 0; p < Parts; ++p) {
      const std::int64_t row = args.index[k * Parts + p];
      there[p] = row >= 0;
      SLLMR_ROW_LOOP
      for (int c = 0; c < Columns; ++c) x[p][c] = there[p] ? args.from.row(row)[column + c] : Real(0);
    }
    SLLMR_UNROLL
    for (int step = 1; step < Parts; step *= 2) {
      SLLMR_UNROLL
      for (int p = 0; p + step < Parts; p += 2 * step) {
        const int q = p + step;
        // Not x + 0: that would make a -0 of one part alone a +0.
        SLLMR_ROW_LOOP
        for (int c = 0; c < Columns; ++c)
          x[p][c] = there[q] ? (there[p] ? x[p][c] + x[q][c] : x[q][c]) : x[p][c];
        there[p] = there[p] || there[q];
      }
    }
    SLLMR_ROW_LOOP
    for (int c = 0; c < Columns; ++c) args.out.row(k)[column + c] = x[0][c];
  }
};

template <class Real, int Parts = 1>
void launch_of(const Context& context, const TreeSums<Real>& args) {
  if (args.parts == Parts) {
    launch(context, "tree_sums", args.n, TreeSum<Real, Parts>{args});
  } else if constexpr (Parts < TreeSums<Real>::kMostParts) {
    launch_of<Real, 2 * Parts>(context, args);
  }
}

template <class Real>
void run_here(const Context& context, const TreeSums<Real>& args) {
  require_tree_parts(args.parts, "tree_sums: parts");
  launch_of(context, args);
}

}  // namespace

SLLMR_KERNELS(TreeSums)

}  // namespace sllmr
