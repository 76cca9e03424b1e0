// Matrix factorisation: tables, a launch of training rows, and the item gradients of a row.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/exec/error.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/types.h"
#include "kernels/gates/gate_args.h"
#include "kernels/optimizer_list.h"
#include "kernels/pair_sampler.h"
#include "kernels/triple_sampler.h"

namespace sllmr {

/// Calls function(std::integral_constant<int, width>) for the widths that have kernels; throws Error for
/// others.
template <class Function>
void for_mf_width(int width, Function&& function) {
#if defined(SLLMR_GATE_WIDTH)
  require(width == SLLMR_GATE_WIDTH, "the gate module is of another model.width");
  return function(std::integral_constant<int, SLLMR_GATE_WIDTH>{});
#else
  switch (width) {
    case 32:
      return function(std::integral_constant<int, 32>{});
    case 64:
      return function(std::integral_constant<int, 64>{});
    case 128:
      return function(std::integral_constant<int, 128>{});
    case 256:
      return function(std::integral_constant<int, 256>{});
    default:
      throw Error("model.width = " + std::to_string(width) + " has no kernel: use 32, 64, 128 or 256");
  }
#endif
}

/// Adagrad: eps 1e-10; Adam: betas .9 and .999, eps 1e-8 (PyTorch's defaults).
struct OptimizerArgs {
  float learning_rate = 0;
  float l2 = 0;
};

/// An embedding table [rows x width] and its optimiser state on the device.
struct TableView {
  float* weights = nullptr;
  float* first = nullptr;         // OptimizerInfo::moments: Adagrad's sum of squares, Adam's m
  float* second = nullptr;        // Adam's v
  std::int32_t* steps = nullptr;  // OptimizerInfo::counts_steps: updates of each row so far
  bool last_is_one = false;       // the last number of every row but the padding stays 1

  /// After a step that took the last number of row `id` for one like any other. Who reads it in between sees
  /// it moved.
  template <int Dim, class Lanes>
  SLLMR_INLINE void keep_last(Lanes lanes, std::int64_t id) const {
    if (!last_is_one || id == 0 || lanes.lane() != Lanes::size - 1) return;
    const std::int64_t last = (id + 1) * Dim - 1;
    weights[last] = 1;
    if (first != nullptr) first[last] = 0;
    if (second != nullptr) second[last] = 0;
  }
};

/// Where the rows of a launch's ids lie, in tables that do not keep every row at its id.
struct MfPlaces {
  const Triple* triples = nullptr;        // [rows of the launch]; null: at their ids
  const RowPairs* pairs = nullptr;        // as MfArgs::pairs
  const std::int32_t* pair_of = nullptr;  // [rows of the launch] index into `pairs`, -1: draws none
};

/// A chunk of training rows.
struct MfArgs {
  TableView users, items;
  const Triple* triples = nullptr;  // [rows of this launch]
  std::int64_t rows = 0;
  std::int64_t first_row = 0;  // of this launch within the epoch
  OptimizerArgs optimizer;
  const RowPairs* pairs = nullptr;  // of the selected rows, from SamplePairs; null: the base loss alone
  Share pair_rate;                  // which rows are selected
  GateArgs gate;                    // its slots take the base loss in any case
  MfPlaces places;                  // of the exact step alone

  /// The pairs of row `k` of the launch, or null when it draws none; `pairs` is not null.
  SLLMR_INLINE const RowPairs* pairs_of(std::int64_t k) const {
    return pair_rate.selects(static_cast<std::uint64_t>(first_row + k))
               ? pairs + pair_rate.count(first_row, k)
               : nullptr;
  }
};

/// Neighbouring numbers of a row that a lane reads and writes at once.
struct alignas(16) Four {
  float value[4];
};
/// Those from numbers[at] on, which begin at a multiple of 16 bytes.
SLLMR_HD inline Four& four_at(float* numbers, std::int64_t at) {
  return *reinterpret_cast<Four*>(numbers + at);
}
SLLMR_HD inline const Four& four_at(const float* numbers, std::int64_t at) {
  return *reinterpret_cast<const Four*>(numbers + at);
}

/// The item rows that a training row touches, each once, and the factor of U[u] in each one's gradient. Slots
/// 0 and 1 are the triple's items, 2 and 3 the pair's; an unused slot has item 0. All indexes are constants,
/// so on CUDA the slots live in registers.
struct ItemGradients {
  static constexpr int base = 2, most = 4;
  Id item[most];
  float factor[most];

  ItemGradients() = default;
  SLLMR_INLINE ItemGradients(const Triple& triple, float push)
      : item{triple.positive, triple.negative}, factor{-push, push} {}
  /// Adds `x` to the factor of `id`, in the triple's slot if it is one of the triple's items, else in `slot`.
  SLLMR_HD void add(int slot, Id id, float x) {
    if (id == item[0]) {
      factor[0] += x;
    } else if (id == item[1]) {
      factor[1] += x;
    } else {
      item[slot] = id;
      factor[slot] = x;
    }
  }
};

}  // namespace sllmr
