#include <cmath>

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

  /// Is there a gradient of the loss for one of the row's occurrences?
  SLLMR_INLINE bool has_gradient(const AdamTable<Real>& table, std::int64_t k) const {
    for (std::int64_t at = table.offsets[k]; at < table.offsets[k + 1]; ++at) {
      if (args.gradients[table.gradients][table.field[at]].data != nullptr) return true;
    }
    return false;
  }

  /// Step number of a row, or 0 when it takes none.
  SLLMR_INLINE std::int32_t step_of(const AdamTable<Real>& table, std::int64_t k) const {
    if (!args.lazy) return args.step;
    return has_gradient(table, k) ? table.steps[table.keys[k]] + 1 : 0;
  }

  /// An occurrence's gradient is `share` times what lies at `data`.
  struct Occurrence {
    const Real* data;
    Real share;
  };
  SLLMR_INLINE Occurrence occurrence(const AdamTable<Real>& table, std::int64_t o) const {
    const BagGradient<Real>& from = args.gradients[table.gradients][table.field[o]];
    if (from.data == nullptr) return {nullptr, Real(0)};
    const std::int64_t bag = table.row[o];
    return {from.data + bag * from.stride, Real(1) / static_cast<Real>(from.length[bag])};
  }

  /// Adds the gradients of all occurrences, in their order, to `gradient`, columns `column` and on.
  template <class Lanes, int Cells>
  SLLMR_INLINE void add_occurrences(Lanes lanes, const AdamTable<Real>& table, std::int64_t k, int column,
                                    Real (&gradient)[Cells]) const {
    const std::int64_t begin = table.offsets[k], past = table.offsets[k + 1], count = table.width - column;
    if constexpr (Lanes::size == 1) {
      for (std::int64_t o = begin; o < past; ++o) {
        const Occurrence of = occurrence(table, o);
        if (of.data == nullptr) continue;
        Real of_bag[Cells];
        load(lanes, of_bag, of.data + column, count);
        SLLMR_ROW_LOOP
        for (int e = 0; e < Cells; ++e) gradient[e] = std::fma(of.share, of_bag[e], gradient[e]);
      }
    } else {
      // A category may occur a thousand times in a batch. Each lane looks an occurrence up, and several are
      // read at once; those without a gradient are a row of the table, zero times.
      constexpr int kAtOnce = 8;
      const bool reads = lanes.lane() < count;
      for (std::int64_t first = begin; first < past; first += Lanes::size) {
        const std::int64_t o = first + lanes.lane();
        Occurrence mine = o < past ? occurrence(table, o) : Occurrence{nullptr, Real(0)};
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
          for (int i = 0; i < kAtOnce; ++i) gradient[0] = std::fma(share[i], value[i], gradient[0]);
        }
      }
    }
  }

  template <class Lanes>
  SLLMR_INLINE void wide(Lanes lanes, const AdamTable<Real>& table, std::int64_t k) const {
    constexpr int kCells = kAdamBlock / Lanes::size;
    prefetch(lanes, table, k);
    const std::int32_t step = step_of(table, k);
    if (step == 0) return;
    const std::int64_t row = table.keys[k];
    const AdamRule<Real> rule{args.l2};
    const AdamFactors<Real> factors = factors_of(args, step);
    for (int column = 0; column < table.width; column += kAdamBlock) {
      const std::int64_t at = row * table.width + column, count = table.width - column;
      Real gradient[kCells] = {};
      add_occurrences(lanes, table, k, column, gradient);
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

  /// Does the row occur so often that all lanes of the group should look for its gradients?
  template <class Lanes>
  SLLMR_INLINE bool is_long(const AdamTable<Real>& table, std::int64_t k) const {
    return Lanes::size > 1 && table.offsets[k + 1] - table.offsets[k] > 16;
  }

  /// Gradient of a row of width 1, by all lanes.
  template <class Lanes>
  SLLMR_INLINE Real long_sum(Lanes lanes, const AdamTable<Real>& table, std::int64_t k) const {
    Real sum = 0;
    const std::int64_t begin = table.offsets[k], past = table.offsets[k + 1];
    for (std::int64_t first = begin; first < past; first += Lanes::size) {
      const std::int64_t o = first + lanes.lane();
      const Occurrence of = o < past ? occurrence(table, o) : Occurrence{nullptr, Real(0)};
      const Real value = of.data == nullptr ? Real(0) : *of.data;
      SLLMR_UNROLL
      for (int j = 0; j < Lanes::size; ++j)
        sum = std::fma(lanes.broadcast(of.share, j), lanes.broadcast(value, j), sum);
    }
    return sum;
  }

  /// Group `group` of kAdamBlock rows of a table of width 1.
  template <class Lanes>
  SLLMR_INLINE void narrow(Lanes lanes, const AdamTable<Real>& table, std::int64_t group) const {
    constexpr int kCells = kAdamBlock / Lanes::size;
    const AdamRule<Real> rule{args.l2};
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
      if (is_long<Lanes>(table, k)) continue;
      for (std::int64_t o = table.offsets[k]; o < table.offsets[k + 1]; ++o) {
        const Occurrence of = occurrence(table, o);
        if (of.data != nullptr) gradient[e] = std::fma(of.share, *of.data, gradient[e]);
      }
    }
    if constexpr (Lanes::size > 1) {
      const std::int64_t first = group * kAdamBlock, k = first + lanes.lane();
      for (unsigned left = lanes.ballot(step[0] != 0 && is_long<Lanes>(table, k)); left != 0;
           left &= left - 1) {
        const int lane = lanes.first_lane(left);
        const Real sum = long_sum(lanes, table, first + lane);
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
