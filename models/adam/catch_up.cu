#include "models/adam/work.h"

namespace sllmr {

namespace {

/// Steps first + 1 .. last without a gradient of the loss.
template <class Real, int Cells>
SLLMR_INLINE void replay(const AdamArgs<Real>& args, AdamBlock<Real, Cells>& block, std::int32_t first,
                         std::int32_t last) {
  const AdamRule<Real> rule{args.table_l2};
  bool moves = false, decays = false;
  for (int e = 0; e < Cells; ++e) {
    moves |= block.first[e] != 0 || args.table_l2 * block.weight[e] != 0;
    decays |= block.second[e] != 0;
  }
  if (moves) {
    for (std::int32_t t = first + 1; t <= last; ++t) {
      const AdamFactors<Real> factors = factors_of(args, t);
      SLLMR_ROW_LOOP
      for (int e = 0; e < Cells; ++e) {
        rule.step(block.weight[e], block.first[e], block.second[e], Real(0), factors);
      }
    }
  } else if (decays) {  // the same steps, with zeros for g and m
    for (std::int32_t t = first + 1; t <= last; ++t) {
      SLLMR_ROW_LOOP
      for (int e = 0; e < Cells; ++e) {
        block.second[e] = AdamRule<Real>::kept_second(AdamRule<Real>::decayed(block.second[e]));
      }
    }
  }
}

/// The same for cells that start after different steps first[e].
template <class Real, int Cells>
SLLMR_INLINE void replay_ragged(const AdamArgs<Real>& args, AdamBlock<Real, Cells>& block,
                                const std::int32_t (&first)[Cells], std::int32_t last) {
  const AdamRule<Real> rule{args.table_l2};
  std::int32_t oldest = last, newest = 0;
  for (int e = 0; e < Cells; ++e) {
    if (first[e] >= last) continue;
    oldest = first[e] < oldest ? first[e] : oldest;
    newest = first[e] > newest ? first[e] : newest;
  }
  for (std::int32_t t = oldest + 1; t <= newest; ++t) {
    const AdamFactors<Real> factors = factors_of(args, t);
    SLLMR_ROW_LOOP
    for (int e = 0; e < Cells; ++e) {
      Real weight = block.weight[e], m = block.first[e], v = block.second[e];
      rule.step(weight, m, v, Real(0), factors);
      block.weight[e] = t > first[e] ? weight : block.weight[e];
      block.first[e] = t > first[e] ? m : block.first[e];
      block.second[e] = t > first[e] ? v : block.second[e];
    }
  }
  // Cells that were up to date take these steps as well: they are not stored.
  if (oldest < last) replay(args, block, newest, last);
}

template <class Real>
struct CatchUp : AdamItems<Real> {
  using AdamItems<Real>::args;

  static std::int64_t slab_items(const AdamArgs<Real>&) { return 0; }
  static std::int64_t items(const AdamTable<Real>& table) {
    return groups_of(table.n, table.width) + groups_of(table.sweep_end - table.sweep_begin, table.width);
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const AdamWork work = this->work_of(item);
    const AdamTable<Real>& table = args.tables[work.table];
    const std::int64_t touched = groups_of(table.n, table.width);
    if (table.width == 1) {
      narrow(lanes, table, work.index < touched, work.index < touched ? work.index : work.index - touched);
    } else if (work.index >= touched) {
      wide(lanes, table, table.sweep_begin + (work.index - touched));
    } else {
      prefetch(lanes, table, work.index);
      const Id row = table.keys[work.index];
      if (!is_swept(table, row)) wide(lanes, table, row);
    }
  }

 private:
  /// Of such a row another item of this launch takes care.
  static SLLMR_INLINE bool is_swept(const AdamTable<Real>& table, std::int64_t row) {
    return row >= table.sweep_begin && row < table.sweep_end;
  }

  template <class Lanes>
  SLLMR_INLINE void wide(Lanes lanes, const AdamTable<Real>& table, std::int64_t row) const {
    const std::int32_t last = table.steps[row];
    if (last >= args.step) return;
    int column = 0;
    for (; column + 2 * kAdamBlock <= table.width; column += 2 * kAdamBlock) {
      chunk<2 * kAdamBlock>(lanes, table, row, column, last);
    }
    for (; column < table.width; column += kAdamBlock) chunk<kAdamBlock>(lanes, table, row, column, last);
    lanes.sync();  // every lane has read the old number
    if (lanes.lane() == 0) table.steps[row] = args.step;
  }

  /// `Size` columns of a row, or as many as there are. More side by side hide more of the chain's latency.
  template <int Size, class Lanes>
  SLLMR_INLINE void chunk(Lanes lanes, const AdamTable<Real>& table, std::int64_t row, int column,
                          std::int32_t last) const {
    AdamBlock<Real, Size / Lanes::size> block;
    const std::int64_t at = row * table.width + column, count = table.width - column;
    load(lanes, block, table, at, count);
    replay(args, block, last, args.step);
    store(lanes, table, block, at, count);
  }

  /// Group `group` of kAdamBlock rows of a table of width 1.
  template <class Lanes>
  SLLMR_INLINE void narrow(Lanes lanes, const AdamTable<Real>& table, bool touched,
                           std::int64_t group) const {
    constexpr int kCells = kAdamBlock / Lanes::size;
    const std::int64_t n = touched ? table.n : table.sweep_end - table.sweep_begin;
    AdamBlock<Real, kCells> block = {};
    std::int64_t row[kCells];
    std::int32_t last[kCells];
    for (int e = 0; e < kCells; ++e) {
      const std::int64_t index = group * kAdamBlock + e * Lanes::size + lanes.lane();
      row[e] = 0;
      last[e] = args.step;
      if (index >= n) continue;
      row[e] = touched ? table.keys[index] : table.sweep_begin + index;
      if (touched && is_swept(table, row[e])) continue;
      last[e] = table.steps[row[e]];
      load_cell(block, e, table, row[e]);
    }
    replay_ragged(args, block, last, args.step);
    for (int e = 0; e < kCells; ++e) {
      if (last[e] < args.step) store_cell(table, row[e], block, e, args.step);
    }
  }
};

template <class Real>
void run_here(const Context& context, const AdamCatchUp<Real>& args) {
  launch_work<CatchUp<Real>>(context, "adam_catch_up", args.args);
}

}  // namespace

SLLMR_KERNELS(AdamCatchUp)

}  // namespace sllmr
