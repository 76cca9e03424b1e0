// The rule of one step of Adam (models/adam/kernels.h has the formula), and the blocks of weights it is taken
// on.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/exec/loops.h"
#include "models/adam/kernels.h"

namespace sllmr {

template <class Real>
struct AdamRule {
  Real l2;

  static SLLMR_INLINE Real decayed(Real second) { return static_cast<Real>(AdamConstants::beta2) * second; }
  static SLLMR_INLINE Real kept_first(Real first) {
    return std::fabs(first) < static_cast<Real>(1e-30) ? Real(0) : first;
  }
  static SLLMR_INLINE Real kept_second(Real second) {
    return second < static_cast<Real>(1e-36) ? Real(0) : second;
  }
  SLLMR_INLINE void step(Real& weight, Real& first, Real& second, Real gradient,
                         const AdamFactors<Real>& factors) const {
    constexpr Real rest1 = static_cast<Real>(1 - AdamConstants::beta1),
                   rest2 = static_cast<Real>(1 - AdamConstants::beta2);
    const Real g = std::fma(l2, weight, gradient);
    first = kept_first(std::fma(rest1, g - first, first));
    second = kept_second(std::fma(rest2 * g, g, decayed(second)));
    const Real root =
        std::fma(std::sqrt(second), factors.second_scale, static_cast<Real>(AdamConstants::epsilon));
    weight -= factors.step_size * first / root;
  }
};

template <class Real>
SLLMR_INLINE const AdamFactors<Real>& factors_of(const AdamArgs<Real>& args, std::int32_t step) {
  return args.factors[step < args.n_factors ? step : args.n_factors - 1];
}

/// Weights that a group of lanes works on at once: a chunk of a row or of the slab, or one weight of each
/// of as many rows of a table of width 1. Their steps are chains of a square root and a division; side by
/// side they fill the vector units.
inline constexpr int kAdamBlock = 32;

/// A lane's part of a block: cell e is element e * Lanes::size + lane.
template <class Real, int Cells>
struct AdamBlock {
  Real weight[Cells], first[Cells], second[Cells];
};

/// Elements of `from` [count]; those of a block that are past the end are 0.
template <class Lanes, class Real, int Cells>
SLLMR_INLINE void load(Lanes lanes, Real (&to)[Cells], const Real* from, std::int64_t count) {
  if (count >= Cells * Lanes::size) {
    SLLMR_ROW_LOOP
    for (int e = 0; e < Cells; ++e) to[e] = from[e * Lanes::size + lanes.lane()];
    return;
  }
  for (int e = 0; e < Cells; ++e) {
    const int at = e * Lanes::size + lanes.lane();
    to[e] = at < count ? from[at] : Real(0);
  }
}

template <class Lanes, class Real, int Cells>
SLLMR_INLINE void store(Lanes lanes, Real* to, const Real (&from)[Cells], std::int64_t count) {
  if (count >= Cells * Lanes::size) {
    SLLMR_ROW_LOOP
    for (int e = 0; e < Cells; ++e) to[e * Lanes::size + lanes.lane()] = from[e];
    return;
  }
  for (int e = 0; e < Cells; ++e) {
    const int at = e * Lanes::size + lanes.lane();
    if (at < count) to[at] = from[e];
  }
}

template <class Lanes, class Real, int Cells>
SLLMR_INLINE void load(Lanes lanes, AdamBlock<Real, Cells>& block, const AdamTable<Real>& table,
                       std::int64_t at, std::int64_t count) {
  load(lanes, block.weight, table.weights + at, count);
  load(lanes, block.first, table.first + at, count);
  load(lanes, block.second, table.second + at, count);
}

template <class Lanes, class Real, int Cells>
SLLMR_INLINE void store(Lanes lanes, const AdamTable<Real>& table, const AdamBlock<Real, Cells>& block,
                        std::int64_t at, std::int64_t count) {
  store(lanes, table.weights + at, block.weight, count);
  store(lanes, table.first + at, block.first, count);
  store(lanes, table.second + at, block.second, count);
}

/// Cell `e` of a block: the weight of a row of a table of width 1.
template <class Real, int Cells>
SLLMR_INLINE void load_cell(AdamBlock<Real, Cells>& block, int e, const AdamTable<Real>& table,
                            std::int64_t row) {
  block.weight[e] = table.weights[row];
  block.first[e] = table.first[row];
  block.second[e] = table.second[row];
}

template <class Real, int Cells>
SLLMR_INLINE void store_cell(const AdamTable<Real>& table, std::int64_t row,
                             const AdamBlock<Real, Cells>& block, int e, std::int32_t step) {
  table.weights[row] = block.weight[e];
  table.first[row] = block.first[e];
  table.second[row] = block.second[e];
  table.steps[row] = step;
}

}  // namespace sllmr
