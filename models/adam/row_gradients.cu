#include "kernels/exec/launch.h"
#include "models/adam/occurrences.h"

namespace sllmr {

namespace {

/// Item: one row.
template <class Real>
struct RowGradient {
  AdamRowGradients<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    constexpr int kCells = kAdamBlock / Lanes::size;
    const RowOccurrences<Real> occurrences{args.table, args.gradients};
    for (int column = 0; column < args.table.width; column += kAdamBlock) {
      Real gradient[kCells] = {};
      occurrences.add_columns(lanes, args.rows[k], column, gradient);
      store(lanes, args.out.row(k) + column, gradient, args.table.width - column);
    }
  }
};

template <class Real>
void run_here(const Context& context, const AdamRowGradients<Real>& args) {
  launch(context, "adam_row_gradients", args.out.rows, RowGradient<Real>{args});
}

}  // namespace

SLLMR_KERNELS(AdamRowGradients)

}  // namespace sllmr
