// The one step that only the CPU takes.
#include "kernels/layers/cin.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

/// Item: one column.
template <class Real>
struct ProductsByColumn {
  CinPairs pairs;
  std::int64_t columns;
  const Real* hidden;
  const Real* x0;
  Real* z;

  template <class Lanes>
  void operator()(Lanes, std::int64_t column) const {
    // A channel's products are few, yet vectorise when as many are written whatever their number: what is too
    // much is written over by the next channel's.
    constexpr int kRun = 8;
    const bool few = pairs.fields <= kRun;
    Real* to = z + column * pairs.stride();
    Real y[2 * kRun] = {};
    for (int m = 0; few && m < pairs.fields; ++m) y[m] = x0[m * columns + column];
    for (int h = 0; h < pairs.hidden; ++h) {
      const int first = pairs.first(h), row = pairs.row(h, first);
      const Real x = hidden[h * columns + column];
      if (few && row + kRun <= pairs.stride()) {
        SLLMR_ROW_LOOP
        for (int k = 0; k < kRun; ++k) to[row + k] = x * y[first + k];
      } else {
        for (int m = first; m < pairs.fields; ++m) to[row + m - first] = x * x0[m * columns + column];
      }
    }
    to[pairs.count()] = 1;
    for (int k = pairs.count() + 1; k < pairs.stride(); ++k) to[k] = 0;
  }
};

}  // namespace

template <class Real>
void cin_products_by_column(const Context& context, const CinPairs& pairs, std::int64_t columns,
                            const Real* hidden, const Real* x0, Real* z) {
  launch(context, "cin_products_by_column", columns, ProductsByColumn<Real>{pairs, columns, hidden, x0, z});
}
template void cin_products_by_column(const Context&, const CinPairs&, std::int64_t, const float*,
                                     const float*, float*);
template void cin_products_by_column(const Context&, const CinPairs&, std::int64_t, const double*,
                                     const double*, double*);

}  // namespace sllmr
