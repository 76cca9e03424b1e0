// A launch over the slab and all tables: which work each of its items is.
#pragma once

#include <cstdint>

#include "kernels/exec/launch.h"
#include "models/adam/rule.h"

namespace sllmr {

/// Asks for the rows of the keys' item after next: the CPU has no other groups to hide their latency.
template <class Lanes, class Real>
SLLMR_INLINE void prefetch(Lanes lanes, const AdamTable<Real>& table, std::int64_t k) {
  if constexpr (Lanes::prefetches) {
    constexpr std::int64_t kAhead = 2, kLine = 64 / sizeof(Real);
    if (k + kAhead >= table.n) return;
    const std::int64_t at = static_cast<std::int64_t>(table.keys[k + kAhead]) * table.width;
    for (std::int64_t d = 0; d < table.width; d += kLine) {
      lanes.prefetch(table.weights + at + d);
      lanes.prefetch(table.first + at + d);
      lanes.prefetch(table.second + at + d);
    }
  }
}

/// Which work an item is: a part of the slab or some rows of one table.
struct AdamWork {
  int table;           // -1: the slab
  std::int64_t index;  // of the part, or of the item within its table
};

template <class Real>
struct AdamItems {
  AdamArgs<Real> args;
  std::int64_t end[AdamArgs<Real>::kMaxTables + 1];  // one past the last item of the slab and of each table

  SLLMR_INLINE AdamWork work_of(std::int64_t item) const {
    int k = 0;
    while (item >= end[k]) ++k;
    return {k - 1, k == 0 ? item : item - end[k - 1]};
  }
};

SLLMR_INLINE std::int64_t groups_of(std::int64_t rows, int width) {
  return width == 1 ? (rows + kAdamBlock - 1) / kAdamBlock : rows;
}

/// `Body` is an AdamItems; slab_items(args) and items(table) say how many items it makes of each.
template <class Body, class Real>
void launch_work(const Context& context, const char* name, const AdamArgs<Real>& args) {
  Body body;
  body.args = args;
  body.end[0] = Body::slab_items(args);
  for (int k = 0; k < args.n_tables; ++k) body.end[k + 1] = body.end[k] + Body::items(args.tables[k]);
  launch(context, name, body.end[args.n_tables], body);
}

}  // namespace sllmr
