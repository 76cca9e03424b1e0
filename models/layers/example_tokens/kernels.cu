#include "models/layers/example_tokens/kernels.h"

#include <cmath>

#include "kernels/exec/column_sums.h"
#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

/// Item: one token.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const ExampleTokens<Real>& args, std::int64_t item) {
  const int tokens = args.tokens(), of_slot = args.of_slot();
  const std::int64_t row = item / tokens;
  const int token = static_cast<int>(item % tokens), slot = token / of_slot, part = token % of_slot;
  const Real* from = nullptr;
  if (slot == args.examples.each) {
    from = args.x.row(row);
  } else if (const std::int32_t example = args.examples.of_row[row * args.examples.each + slot];
             example >= 0) {
    const Id* number = args.examples.number;
    from = part == 0             ? args.of_examples.row(example)
           : part == of_slot - 1 ? args.labels.row(args.label[number != nullptr ? number[example] : example])
                                 : args.chains.row(example);
  }
  Real* out = args.out.row(item);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < args.out.cols; c += Lanes::size) {
    out[c] = from != nullptr ? from[c] : Real(0);
  }
}

/// Item: one row, or one example behind them.
template <class Real>
struct TokensBackwardRow {
  ExampleTokensBackward<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t tokens = args.tokens(), example = item - args.rows;
    Real* d_x = args.d_x.row(item);
    if (example < 0) {
      const Real* from = args.d_out.row(item * tokens + tokens - 1);
      SLLMR_ROW_LOOP
      for (std::int64_t c = lanes.lane(); c < args.d_x.cols; c += Lanes::size) d_x[c] = from[c];
      return;
    }
    add_uses(lanes, example, 0, d_x);
    if (args.d_chains.data != nullptr) add_uses(lanes, example, 1, args.d_chains.row(example));
  }

 private:
  template <class Lanes>
  SLLMR_INLINE void add_uses(Lanes lanes, std::int64_t example, int part, Real* to) const {
    const ExampleRows& examples = args.examples;
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < args.d_x.cols; c += Lanes::size) to[c] = 0;
    for (std::int64_t k = examples.first_use[example]; k < examples.first_use[example + 1]; ++k) {
      const std::int64_t row = examples.use[k] / examples.each, slot = examples.use[k] % examples.each;
      const Real* from = args.d_out.row(row * args.tokens() + slot * args.of_slot() + part);
      SLLMR_ROW_LOOP
      for (std::int64_t c = lanes.lane(); c < args.d_x.cols; c += Lanes::size) to[c] += from[c];
    }
  }
};

template <class Real>
struct LabelTerms {
  ExampleTokensBackward<Real> args;

  struct Row {
    const std::int32_t* slots;
    const Id* number;
    const std::int8_t* label;
    const Real* d_labels;  // of the row's first label
    int each, stride;      // numbers between two labels

    SLLMR_INLINE void operator()(std::int64_t column, Real* sums) const {
      Real of_other = 0, of_bought = 0;
      const Real* d = d_labels + column;
      for (int slot = 0; slot < each; ++slot, d += stride) {
        if (slots[slot] < 0) continue;
        // Factors of 0 and 1: with a choice CUDA spills.
        const auto bought = static_cast<Real>(label[number[slots[slot]]]);
        of_bought += bought * *d;
        of_other += (Real(1) - bought) * *d;
      }
      sums[0] = of_other;
      sums[1] = of_bought;
    }
  };
  SLLMR_INLINE Row row(std::int64_t r) const {
    const ExampleRows& examples = args.examples;
    return {examples.of_row + r * examples.each,
            examples.number,
            args.label,
            args.d_out.row(r * args.tokens() + args.of_slot() - 1),
            examples.each,
            static_cast<int>(args.of_slot() * args.d_out.stride)};
  }
};

template <class Real>
void run_here(const Context& context, const ExampleTokensBackward<Real>& args) {
  launch(context, "example_tokens_backward", args.rows + args.examples.n, TokensBackwardRow<Real>{args});
  column_sums(context, "example_labels", args.rows, args.d_x.cols, LabelTerms<Real>{args},
              ColumnTargets<Real, 2>{{args.d_labels.row(0), args.d_labels.row(1)}});
}

/// Item: one slot. d cos / dy = (v / |v| - cos y / |y|) / |y|; a zero vector has cosine 0 and no gradient.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const ExampleCosines<Real>& args, std::int64_t item) {
  const std::int32_t example = args.examples.of_row[item];
  const std::int64_t cols = args.y.cols;
  const Real* y = args.y.row(item);
  Real* d_y = args.d_y.row(item);
  Real cosine = 0, along_v = 0, along_y = 0;
  const Real* v = y;
  if (example >= 0) {
    v = args.frozen.row(args.examples.number[example]);
    const Real y_y = sum_of<Real>(lanes, cols, [&](std::int64_t c) { return y[c] * y[c]; });
    const Real v_v = sum_of<Real>(lanes, cols, [&](std::int64_t c) { return v[c] * v[c]; });
    const Real y_v = sum_of<Real>(lanes, cols, [&](std::int64_t c) { return y[c] * v[c]; });
    if (y_y != 0 && v_v != 0) {
      cosine = y_v / std::sqrt(y_y * v_v);
      along_v = args.scale / std::sqrt(y_y * v_v);
      along_y = -args.scale * cosine / y_y;
    }
  }
  if (lanes.lane() == 0) *args.cosines.row(item) = cosine;
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < cols; c += Lanes::size) d_y[c] = along_v * v[c] + along_y * y[c];
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const TakeItemsBackward<Real>& args, std::int64_t key) {
  Real* out = args.d_table.row(key);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < args.d_table.cols; c += Lanes::size) out[c] = 0;
  const TablePlan& plan = args.plan;
  for (std::int64_t k = plan.offsets[key]; k < plan.offsets[key + 1]; ++k) {
    if (plan.field[k] != static_cast<std::int8_t>(Field::item)) break;  // the field comes first
    const Real* from = args.d_out.row(plan.row[k]);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < args.d_table.cols; c += Lanes::size) out[c] += from[c];
  }
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const TakeRows<Real>& args, std::int64_t row) {
  const Real* from = args.table.row(args.ids[row]);
  Real* out = args.out.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < args.out.cols; c += Lanes::size) out[c] = from[c];
}

}  // namespace

SLLMR_ITEM_KERNELS(ExampleTokens, "example_tokens", args.out.rows)
SLLMR_KERNELS(ExampleTokensBackward)
SLLMR_ITEM_KERNELS(ExampleCosines, "example_cosines", args.y.rows)
SLLMR_ITEM_KERNELS(TakeItemsBackward, "take_items_backward", args.d_table.rows)
SLLMR_ITEM_KERNELS(TakeRows, "take_rows", args.out.rows)

}  // namespace sllmr
