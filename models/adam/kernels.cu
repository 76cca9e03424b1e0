#include "models/adam/kernels.h"

#include <cmath>

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

/// Weights that a group of lanes works on at once: a stretch of a row or of the slab, or one weight of each
/// of as many rows of a table of width 1. Their steps are chains of a square root and a division; side by
/// side they fill the vector units.
constexpr int kBlock = 32;

/// A lane's part of a block: cell e is element e * Lanes::size + lane.
template <class Real, int Cells>
struct Block {
  Real weight[Cells], first[Cells], second[Cells];
};

template <class Real>
struct Rule {
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
SLLMR_INLINE void load(Lanes lanes, Block<Real, Cells>& block, const AdamTable<Real>& table, std::int64_t at,
                       std::int64_t count) {
  load(lanes, block.weight, table.weights + at, count);
  load(lanes, block.first, table.first + at, count);
  load(lanes, block.second, table.second + at, count);
}

template <class Lanes, class Real, int Cells>
SLLMR_INLINE void store(Lanes lanes, const AdamTable<Real>& table, const Block<Real, Cells>& block,
                        std::int64_t at, std::int64_t count) {
  store(lanes, table.weights + at, block.weight, count);
  store(lanes, table.first + at, block.first, count);
  store(lanes, table.second + at, block.second, count);
}

/// Steps first + 1 .. last without a gradient of the loss.
template <class Real, int Cells>
SLLMR_INLINE void replay(const AdamArgs<Real>& args, Block<Real, Cells>& block, std::int32_t first,
                         std::int32_t last) {
  const Rule<Real> rule{args.l2};
  bool moves = false, decays = false;
  for (int e = 0; e < Cells; ++e) {
    moves |= block.first[e] != 0 || args.l2 * block.weight[e] != 0;
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
        block.second[e] = Rule<Real>::kept_second(Rule<Real>::decayed(block.second[e]));
      }
    }
  }
}

/// The same for cells that start after different steps first[e].
template <class Real, int Cells>
SLLMR_INLINE void replay_ragged(const AdamArgs<Real>& args, Block<Real, Cells>& block,
                                const std::int32_t (&first)[Cells], std::int32_t last) {
  const Rule<Real> rule{args.l2};
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
struct Work {
  int table;           // -1: the slab
  std::int64_t index;  // of the part, or of the item within its table
};

template <class Real>
struct Adam {
  AdamArgs<Real> args;
  std::int64_t end[AdamArgs<Real>::kMaxTables + 1];  // one past the last item of the slab and of each table

  SLLMR_INLINE Work work_of(std::int64_t item) const {
    int k = 0;
    while (item >= end[k]) ++k;
    return {k - 1, k == 0 ? item : item - end[k - 1]};
  }
};

SLLMR_INLINE std::int64_t groups_of(std::int64_t rows, int width) {
  return width == 1 ? (rows + kBlock - 1) / kBlock : rows;
}

template <class Real>
struct CatchUp : Adam<Real> {
  using Adam<Real>::args;

  static std::int64_t slab_items(const AdamArgs<Real>&) { return 0; }
  static std::int64_t items(const AdamTable<Real>& table) {
    return groups_of(table.n, table.width) + groups_of(table.sweep_end - table.sweep_begin, table.width);
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const Work work = this->work_of(item);
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
    for (; column + 2 * kBlock <= table.width; column += 2 * kBlock) {
      stretch<2 * kBlock>(lanes, table, row, column, last);
    }
    for (; column < table.width; column += kBlock) stretch<kBlock>(lanes, table, row, column, last);
    lanes.sync();  // every lane has read the old number
    if (lanes.lane() == 0) table.steps[row] = args.step;
  }

  /// `Size` columns of a row, or as many as there are. More side by side hide more of the chain's latency.
  template <int Size, class Lanes>
  SLLMR_INLINE void stretch(Lanes lanes, const AdamTable<Real>& table, std::int64_t row, int column,
                            std::int32_t last) const {
    Block<Real, Size / Lanes::size> block;
    const std::int64_t at = row * table.width + column, count = table.width - column;
    load(lanes, block, table, at, count);
    replay(args, block, last, args.step);
    store(lanes, table, block, at, count);
  }

  /// Group `group` of kBlock rows of a table of width 1.
  template <class Lanes>
  SLLMR_INLINE void narrow(Lanes lanes, const AdamTable<Real>& table, bool touched,
                           std::int64_t group) const {
    constexpr int kCells = kBlock / Lanes::size;
    const std::int64_t n = touched ? table.n : table.sweep_end - table.sweep_begin;
    Block<Real, kCells> block = {};
    std::int64_t row[kCells];
    std::int32_t last[kCells];
    for (int e = 0; e < kCells; ++e) {
      const std::int64_t index = group * kBlock + e * Lanes::size + lanes.lane();
      row[e] = 0;
      last[e] = args.step;
      if (index >= n) continue;
      row[e] = touched ? table.keys[index] : table.sweep_begin + index;
      if (touched && is_swept(table, row[e])) continue;
      last[e] = table.steps[row[e]];
      block.weight[e] = table.weights[row[e]];
      block.first[e] = table.first[row[e]];
      block.second[e] = table.second[row[e]];
    }
    replay_ragged(args, block, last, args.step);
    for (int e = 0; e < kCells; ++e) {
      if (last[e] >= args.step) continue;
      table.weights[row[e]] = block.weight[e];
      table.first[row[e]] = block.first[e];
      table.second[row[e]] = block.second[e];
      table.steps[row[e]] = args.step;
    }
  }
};

template <class Real>
struct Step : Adam<Real> {
  using Adam<Real>::args;

  /// About as much work as a row of a table.
  static constexpr int kSlabPart = 2 * kBlock;

  static std::int64_t slab_items(const AdamArgs<Real>& args) {
    return (args.size + kSlabPart - 1) / kSlabPart;
  }
  static std::int64_t items(const AdamTable<Real>& table) { return groups_of(table.n, table.width); }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const Work work = this->work_of(item);
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
    constexpr int kCells = kBlock / Lanes::size;
    const Rule<Real> rule{args.l2};
    const AdamFactors<Real> factors = factors_of(args, args.step);
    for (std::int64_t at = begin; at < begin + kSlabPart && at < args.size; at += kBlock) {
      Block<Real, kCells> block;
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
    constexpr int kCells = kBlock / Lanes::size;
    prefetch(lanes, table, k);
    const std::int32_t step = step_of(table, k);
    if (step == 0) return;
    const std::int64_t row = table.keys[k];
    const Rule<Real> rule{args.l2};
    const AdamFactors<Real> factors = factors_of(args, step);
    for (int column = 0; column < table.width; column += kBlock) {
      const std::int64_t at = row * table.width + column, count = table.width - column;
      Real gradient[kCells] = {};
      add_occurrences(lanes, table, k, column, gradient);
      Block<Real, kCells> block;
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

  /// Group `group` of kBlock rows of a table of width 1.
  template <class Lanes>
  SLLMR_INLINE void narrow(Lanes lanes, const AdamTable<Real>& table, std::int64_t group) const {
    constexpr int kCells = kBlock / Lanes::size;
    const Rule<Real> rule{args.l2};
    Block<Real, kCells> block = {};
    Real gradient[kCells] = {}, step_size[kCells] = {}, second_scale[kCells] = {};
    std::int32_t step[kCells];
    for (int e = 0; e < kCells; ++e) {
      const std::int64_t k = group * kBlock + e * Lanes::size + lanes.lane();
      step[e] = k < table.n ? step_of(table, k) : 0;
      if (step[e] == 0) continue;
      const AdamFactors<Real>& factors = factors_of(args, step[e]);
      step_size[e] = factors.step_size;
      second_scale[e] = factors.second_scale;
      const std::int64_t row = table.keys[k];
      block.weight[e] = table.weights[row];
      block.first[e] = table.first[row];
      block.second[e] = table.second[row];
      if (is_long<Lanes>(table, k)) continue;
      for (std::int64_t o = table.offsets[k]; o < table.offsets[k + 1]; ++o) {
        const Occurrence of = occurrence(table, o);
        if (of.data != nullptr) gradient[e] = std::fma(of.share, *of.data, gradient[e]);
      }
    }
    if constexpr (Lanes::size > 1) {
      const std::int64_t first = group * kBlock, k = first + lanes.lane();
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
      const std::int64_t row = table.keys[group * kBlock + e * Lanes::size + lanes.lane()];
      table.weights[row] = block.weight[e];
      table.first[row] = block.first[e];
      table.second[row] = block.second[e];
      table.steps[row] = step[e];
    }
  }
};

template <template <class> class Body, class Real>
void run(const Context& context, const char* name, const AdamArgs<Real>& args) {
  Body<Real> body;
  body.args = args;
  body.end[0] = Body<Real>::slab_items(args);
  for (int k = 0; k < args.n_tables; ++k) body.end[k + 1] = body.end[k] + Body<Real>::items(args.tables[k]);
  launch(context, name, body.end[args.n_tables], body);
}

}  // namespace

void adam_catch_up_on(OnThisDevice, const Context& context, const AdamArgs<float>& args) {
  run<CatchUp>(context, "adam_catch_up", args);
}

void adam_catch_up_on(OnThisDevice, const Context& context, const AdamArgs<double>& args) {
  run<CatchUp>(context, "adam_catch_up", args);
}

void adam_step_on(OnThisDevice, const Context& context, const AdamArgs<float>& args) {
  run<Step>(context, "adam_step", args);
}

void adam_step_on(OnThisDevice, const Context& context, const AdamArgs<double>& args) {
  run<Step>(context, "adam_step", args);
}

}  // namespace sllmr
