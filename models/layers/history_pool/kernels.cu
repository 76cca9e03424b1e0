#include "models/layers/history_pool/kernels.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

/// Ids of all bags first .. last - 1.
SLLMR_INLINE std::int64_t ids_of(const Bags& bags, std::int64_t first, std::int64_t last) {
  std::int64_t ids = 0;
  for (std::int64_t p = first; p < last; ++p) ids += bags.length[p];
  return ids;
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const HistoryPool<Real>& args, std::int64_t row) {
  const std::int64_t first = args.first_position[row], last = args.first_position[row + 1];
  const auto ids = static_cast<Real>(ids_of(args.bags, first, last));
  Real* out = args.out.row(row);
  SLLMR_ROW_LOOP
  for (std::int64_t c = lanes.lane(); c < args.out.cols; c += Lanes::size) out[c] = 0;
  for (std::int64_t p = first; p < last; ++p) {
    if (args.bags.length[p] == 0) continue;
    const Real share = static_cast<Real>(args.bags.length[p]) / ids;
    const Real* x = args.x.row(p);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < args.out.cols; c += Lanes::size) out[c] += share * x[c];
  }
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const HistoryPoolBackward<Real>& args, std::int64_t row) {
  const std::int64_t first = args.first_position[row], last = args.first_position[row + 1];
  const auto ids = static_cast<Real>(ids_of(args.bags, first, last));
  const Real* d_out = args.d_out.row(row);
  for (std::int64_t p = first; p < last; ++p) {
    if (args.bags.length[p] == 0) continue;
    const Real share = static_cast<Real>(args.bags.length[p]) / ids;
    Real* d_x = args.d_x.row(p);
    SLLMR_ROW_LOOP
    for (std::int64_t c = lanes.lane(); c < args.d_out.cols; c += Lanes::size) d_x[c] += share * d_out[c];
  }
}

}  // namespace

SLLMR_ITEM_KERNELS(HistoryPool, "history_pool", args.out.rows)
SLLMR_ITEM_KERNELS(HistoryPoolBackward, "history_pool_backward", args.d_out.rows)

}  // namespace sllmr
