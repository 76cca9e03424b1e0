#include "models/layers/embedding/kernels.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

/// Item: one field of one row. Fields of a row are neighbours, so that threads share the long histories
/// evenly.
template <class Real>
struct BagMeans {
  BagLookup<Real> lookup;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const BagField<Real>& field = lookup.fields[item % lookup.n_fields];
    const std::int64_t bag = item / lookup.n_fields;
    const Id* ids = field.ids + field.begin[bag];
    const int length = field.length[bag];
    Real* out = field.out + bag * field.stride;
    int column = 0;
    if constexpr (Lanes::size == 1) {
      column = blocks<32>(field.table, ids, length, column, out);
      column = blocks<8>(field.table, ids, length, column, out);
    }
    for (int d = column + lanes.lane(); d < lookup.width; d += Lanes::size) {
      Real sum = 0;
      for (int k = 0; k < length; ++k) {
        sum += field.table[static_cast<std::int64_t>(ids[k]) * lookup.width + d];
      }
      out[d] = length > 1 ? sum / static_cast<Real>(length) : sum;
    }
  }

 private:
  /// As many columns from `column` on as fill blocks of `Columns`, whose sums stay in registers. Returns the
  /// first column that is left.
  template <int Columns>
  SLLMR_HD int blocks(const Real* table, const Id* ids, int length, int column, Real* out) const {
    for (; column + Columns <= lookup.width; column += Columns) {
      Real sum[Columns] = {};
      for (int k = 0; k < length; ++k) {
        const Real* row = table + static_cast<std::int64_t>(ids[k]) * lookup.width + column;
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
template <class Real>
struct SumGradients {
  BagGradients<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    Real* to = args.d_table + static_cast<std::int64_t>(args.keys[item]) * args.width;
    for (int d = lanes.lane(); d < args.width; d += Lanes::size) to[d] = 0;
    for (std::int64_t k = args.offsets[item]; k < args.offsets[item + 1]; ++k) {
      if (args.field[k] != args.wanted) continue;
      const std::int64_t bag = args.bag[k];
      const Real* from = args.d_means + bag * args.stride;
      const auto length = static_cast<Real>(args.length[bag]);
      for (int d = lanes.lane(); d < args.width; d += Lanes::size) to[d] += from[d] / length;
    }
  }
};

template <class Real>
void run(const Context& context, const BagLookup<Real>& lookup) {
  const std::int64_t items = lookup.bags * lookup.n_fields;
  const BagMeans<Real> body{lookup};
  if (lookup.width == 1) {
    launch_each(context, "bag_means", items, body);
  } else {
    launch(context, "bag_means", items, body);
  }
}

}  // namespace

void bag_means_on(OnThisDevice, const Context& context, const BagLookup<float>& lookup) {
  run(context, lookup);
}

void bag_means_on(OnThisDevice, const Context& context, const BagLookup<double>& lookup) {
  run(context, lookup);
}

void bag_gradients_on(OnThisDevice, const Context& context, const BagGradients<float>& args) {
  launch(context, "bag_gradients", args.n, SumGradients<float>{args});
}

void bag_gradients_on(OnThisDevice, const Context& context, const BagGradients<double>& args) {
  launch(context, "bag_gradients", args.n, SumGradients<double>{args});
}

}  // namespace sllmr
