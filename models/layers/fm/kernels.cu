#include "models/layers/fm/kernels.h"

#include <type_traits>

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

/// Calls visit(std::integral_constant<int, n>(), d) for blocks of n columns, d the first, that cover a
/// vector: one column a lane on CUDA; on the CPU 16, whose running sums fill registers, then the rest.
template <class Lanes, class Visit>
SLLMR_INLINE void for_blocks(Lanes lanes, int width, const Visit& visit) {
  int d = lanes.lane();
  if constexpr (Lanes::size == 1) {
    constexpr int kBlock = 16;
    for (; d + kBlock <= width; d += kBlock) visit(std::integral_constant<int, kBlock>(), d);
  }
  for (; d < width; d += Lanes::size) visit(std::integral_constant<int, 1>(), d);
}

/// Item: one row. Each field meets the sum of those before it, which keeps the digits that the usual
/// (sum^2 - sum of squares) / 2 cancels.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const FmForward<Real>& args, std::int64_t r) {
  const int fields = args.fields, width = args.width;
  const Real* row = args.x.row(r);
  Real total = 0;
  for_blocks(lanes, width, [&](auto block, int d) {
    constexpr int kBlock = decltype(block)::value;
    Real sum[kBlock] = {}, pairs[kBlock] = {};
    for (int f = 0; f < fields; ++f) {
      const Real* e = row + f * width + d;
      SLLMR_ROW_LOOP
      for (int j = 0; j < kBlock; ++j) {
        pairs[j] += sum[j] * e[j];
        sum[j] += e[j];
      }
    }
    for (int j = 0; j < kBlock; ++j) total += pairs[j];
  });
  total = lanes.sum(total);
  if (lanes.lane() == 0) *args.out.row(r) = total;
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const FmBackward<Real>& args, std::int64_t r) {
  const int fields = args.fields, width = args.width;
  const bool accumulate = args.accumulate;
  const Real* row = args.x.row(r);
  Real* d_row = args.d_x.row(r);
  const Real d = *args.d_out.row(r);
  for_blocks(lanes, width, [&](auto block, int first) {
    constexpr int kBlock = decltype(block)::value;
    Real sum[kBlock] = {};
    for (int f = 0; f < fields; ++f) {
      const Real* e = row + f * width + first;
      SLLMR_ROW_LOOP
      for (int j = 0; j < kBlock; ++j) sum[j] += e[j];
    }
    for (int f = 0; f < fields; ++f) {
      const Real* e = row + f * width + first;
      Real* d_e = d_row + f * width + first;
      if (accumulate) {
        SLLMR_ROW_LOOP
        for (int j = 0; j < kBlock; ++j) d_e[j] += d * (sum[j] - e[j]);
      } else {
        SLLMR_ROW_LOOP
        for (int j = 0; j < kBlock; ++j) d_e[j] = d * (sum[j] - e[j]);
      }
    }
  });
}

}  // namespace

SLLMR_ITEM_KERNELS(FmForward, "fm_forward", args.x.rows)
SLLMR_ITEM_KERNELS(FmBackward, "fm_backward", args.x.rows)

}  // namespace sllmr
