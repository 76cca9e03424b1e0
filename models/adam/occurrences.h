// The gradient of a table's row: the sum over its occurrences in the batch, in their order, each of its bag's
// gradient / the bag's length.
#pragma once

#include <cmath>
#include <cstdint>

#include "models/adam/rule.h"

namespace sllmr {

template <class Real>
struct RowOccurrences {
  const AdamTable<Real>& table;
  const BagGradient<Real> (&gradients)[AdamArgs<Real>::kMaxFields];

  /// Is there a gradient of the loss for one of row keys[k]'s occurrences?
  SLLMR_INLINE bool any(std::int64_t k) const {
    for (std::int64_t at = table.offsets[k]; at < table.offsets[k + 1]; ++at) {
      if (gradients[table.field[at]].data != nullptr) return true;
    }
    return false;
  }

  /// Adds columns `column` and on to `gradient`.
  template <class Lanes, int Cells>
  SLLMR_INLINE void add_columns(Lanes lanes, std::int64_t k, int column, Real (&gradient)[Cells]) const {
    const std::int64_t begin = table.offsets[k], past = table.offsets[k + 1], count = table.width - column;
    if constexpr (Lanes::size == 1) {
      for (std::int64_t o = begin; o < past; ++o) {
        const Occurrence of = occurrence(o);
        if (of.data == nullptr) continue;
        Real of_bag[Cells];
        load(lanes, of_bag, of.data + column, count);
        SLLMR_ROW_LOOP
        for (int e = 0; e < Cells; ++e) gradient[e] = std::fma(of.share, of_bag[e], gradient[e]);
      }
    } else {
      // A category may occur a thousand times in a batch. Each lane looks an occurrence up, and several are
      // read at once, without a branch: in place of those without a gradient row 0 of the table, which does
      // not count.
      static_assert(Cells == 1);
      constexpr int kAtOnce = 8;
      const bool reads = lanes.lane() < count;
      for (std::int64_t first = begin; first < past; first += Lanes::size) {
        const std::int64_t o = first + lanes.lane();
        const Occurrence mine = o < past ? occurrence(o) : Occurrence{nullptr, Real(0)};
        const auto data = reinterpret_cast<std::uintptr_t>(mine.data == nullptr ? table.weights : mine.data);
        const int n = past - first < Lanes::size ? static_cast<int>(past - first) : Lanes::size;
        for (int j = 0; j < n; j += kAtOnce) {
          Real share[kAtOnce], value[kAtOnce];
          SLLMR_UNROLL
          for (int i = 0; i < kAtOnce; ++i) {
            const auto* from = reinterpret_cast<const Real*>(lanes.broadcast(data, j + i));
            share[i] = lanes.broadcast(mine.share, j + i);
            value[i] = reads ? from[column + lanes.lane()] : Real(0);
          }
          SLLMR_UNROLL
          for (int i = 0; i < kAtOnce; ++i) {
            const Real counted = share[i] == 0 ? Real(0) : value[i];  // 0 times infinity would be NaN
            gradient[0] = std::fma(share[i], counted, gradient[0]);
          }
        }
      }
    }
  }

  /// Of a table of width 1: does row keys[k] occur so often that all lanes of the group should sum it up?
  template <class Lanes>
  SLLMR_INLINE bool are_many(std::int64_t k) const {
    return Lanes::size > 1 && table.offsets[k + 1] - table.offsets[k] > 16;
  }
  /// Gradient of a row of width 1, by one lane.
  SLLMR_INLINE Real sum_alone(std::int64_t k) const {
    Real sum = 0;
    for (std::int64_t o = table.offsets[k]; o < table.offsets[k + 1]; ++o) {
      const Occurrence of = occurrence(o);
      if (of.data != nullptr) sum = std::fma(of.share, *of.data, sum);
    }
    return sum;
  }
  /// The same by all lanes.
  template <class Lanes>
  SLLMR_INLINE Real sum_together(Lanes lanes, std::int64_t k) const {
    Real sum = 0;
    const std::int64_t begin = table.offsets[k], past = table.offsets[k + 1];
    for (std::int64_t first = begin; first < past; first += Lanes::size) {
      const std::int64_t o = first + lanes.lane();
      const Occurrence of = o < past ? occurrence(o) : Occurrence{nullptr, Real(0)};
      const Real value = of.data == nullptr ? Real(0) : *of.data;
      SLLMR_UNROLL
      for (int j = 0; j < Lanes::size; ++j)
        sum = std::fma(lanes.broadcast(of.share, j), lanes.broadcast(value, j), sum);
    }
    return sum;
  }

 private:
  /// An occurrence's gradient is `share` times what lies at `data`, null where the field has none.
  struct Occurrence {
    const Real* data;
    Real share;
  };
  SLLMR_INLINE Occurrence occurrence(std::int64_t o) const {
    const BagGradient<Real>& from = gradients[table.field[o]];
    if (from.data == nullptr) return {nullptr, Real(0)};
    const std::int64_t bag = table.row[o];
    return {from.data + bag * from.stride, Real(1) / static_cast<Real>(from.length[bag])};
  }
};

}  // namespace sllmr
