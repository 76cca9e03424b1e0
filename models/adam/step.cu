#include <cmath>

#include "models/adam/occurrences.h"
#include "models/adam/work.h"

namespace sllmr {

namespace {

template <class Real>
struct Step : AdamItems<Real> {
  using AdamItems<Real>::args;

  /// About as much work as a row of a table.
  static constexpr int kSlabPart = 2 * kAdamBlock;

  static std::int64_t slab_items(const AdamArgs<Real>& args) {
    return (args.size + kSlabPart - 1) / kSlabPart;
  }
  static std::int64_t items(const AdamTable<Real>& table) { return groups_of(table.n, table.width); }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const AdamWork work = this->work_of(item);
    if (work.table < 0) {
      slab(lanes, work.index * kSlabPart);
    } else if (args.tables[work.table].width == 1) {
      narrow(lanes, args.tables[work.table], work.index);
    } else {
      wide(lanes, args.tables[work.table], work.index);
    }
  }

 private:
  template <class Lanes>
  SLLMR_INLINE void slab(Lanes lanes, std::int64_t begin) const {
    constexpr int kCells = kAdamBlock / Lanes::size;
    const AdamRule<Real> rule{args.l2};
    const AdamFactors<Real> factors = factors_of(args, args.step);
    for (std::int64_t at = begin; at < begin + kSlabPart && at < args.size; at += kAdamBlock) {
      AdamBlock<Real, kCells> block;
      Real gradient[kCells];
      const std::int64_t count = args.size - at;
      load(lanes, block.weight, args.values + at, count);
      load(lanes, block.first, args.first + at, count);
      load(lanes, block.second, args.second + at, count);
      load(lanes, gradient, args.slab_gradients + at, count);
      SLLMR_ROW_LOOP
      for (int e = 0; e < kCells; ++e) {
        rule.step(block.weight[e], block.first[e], block.second[e], gradient[e], factors);
      }
      store(lanes, args.values + at, block.weight, count);
      store(lanes, args.first + at, block.first, count);
      store(lanes, args.second + at, block.second, count);
    }
  }

  /// Step number of a row, or 0 when it takes none.
  SLLMR_INLINE std::int32_t step_of(const AdamTable<Real>& table, std::int64_t k) const {
    if (!args.lazy) return args.step;
    return occurrences(table).any(k) ? table.steps[table.keys[k]] + 1 : 0;
  }

  SLLMR_INLINE RowOccurrences<Real> occurrences(const AdamTable<Real>& table) const {
    return {table, args.gradients[table.gradients]};
  }

  template <class Lanes>
  SLLMR_INLINE void wide(Lanes lanes, const AdamTable<Real>& table, std::int64_t k) const {
    constexpr int kCells = kAdamBlock / Lanes::size;
    prefetch(lanes, table, k);
    const std::int32_t step = step_of(table, k);
    if (step == 0) return;
    const std::int64_t row = table.keys[k];
    const AdamRule<Real> rule{args.table_l2};
    const AdamFactors<Real> factors = factors_of(args, step);
    for (int column = 0; column < table.width; column += kAdamBlock) {
      const std::int64_t at = row * table.width + column, count = table.width - column;
      Real gradient[kCells] = {};
      occurrences(table).add_columns(lanes, k, column, gradient);
      AdamBlock<Real, kCells> block;
      load(lanes, block, table, at, count);
      SLLMR_ROW_LOOP
      for (int e = 0; e < kCells; ++e) {
        rule.step(block.weight[e], block.first[e], block.second[e], gradient[e], factors);
      }
      store(lanes, table, block, at, count);
    }
    lanes.sync();  // every lane has read the old number
    if (lanes.lane() == 0) table.steps[row] = step;
  }

  /// Group `group` of kAdamBlock rows of a table of width 1.
  template <class Lanes>
  SLLMR_INLINE void narrow(Lanes lanes, const AdamTable<Real>& table, std::int64_t group) const {
    constexpr int kCells = kAdamBlock / Lanes::size;
    const AdamRule<Real> rule{args.table_l2};
    AdamBlock<Real, kCells> block = {};
    Real gradient[kCells] = {}, step_size[kCells] = {}, second_scale[kCells] = {};
    std::int32_t step[kCells];
    for (int e = 0; e < kCells; ++e) {
      const std::int64_t k = group * kAdamBlock + e * Lanes::size + lanes.lane();
      step[e] = k < table.n ? step_of(table, k) : 0;
      if (step[e] == 0) continue;
      const AdamFactors<Real>& factors = factors_of(args, step[e]);
      step_size[e] = factors.step_size;
      second_scale[e] = factors.second_scale;
      load_cell(block, e, table, table.keys[k]);
      if (occurrences(table).template are_many<Lanes>(k)) continue;
      gradient[e] = occurrences(table).sum_alone(k);
    }
    if constexpr (Lanes::size > 1) {
      const std::int64_t first = group * kAdamBlock, k = first + lanes.lane();
      for (unsigned left = lanes.ballot(step[0] != 0 && occurrences(table).template are_many<Lanes>(k));
           left != 0; left &= left - 1) {
        const int lane = lanes.first_lane(left);
        const Real sum = occurrences(table).sum_together(lanes, first + lane);
        if (lanes.lane() == lane) gradient[0] = sum;
      }
    }
    SLLMR_ROW_LOOP
    for (int e = 0; e < kCells; ++e) {
      rule.step(block.weight[e], block.first[e], block.second[e], gradient[e],
                AdamFactors<Real>{step_size[e], second_scale[e]});
    }
    for (int e = 0; e < kCells; ++e) {
      if (step[e] == 0) continue;
      store_cell(table, table.keys[group * kAdamBlock + e * Lanes::size + lanes.lane()], block, e, step[e]);
    }
  }
};

template <class Real>
void run_here(const Context& context, const AdamStep<Real>& args) {
  launch_work<Step<Real>>(context, "adam_step", args.args);
}

}  // namespace

SLLMR_KERNELS(AdamStep)

}  // namespace sllmr
