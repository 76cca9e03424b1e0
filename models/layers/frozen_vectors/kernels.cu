#include "models/layers/frozen_vectors/kernels.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

/// Item: one row. A lane keeps to its columns.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const VectorMeans<Real>& args, std::int64_t row) {
  const int width = static_cast<int>(args.out.cols);
  Real* out = args.out.row(row);
  for (int d = lanes.lane(); d < width; d += Lanes::size) out[d] = 0;
  const std::int64_t first = args.first_position != nullptr ? args.first_position[row] : row,
                     last = args.first_position != nullptr ? args.first_position[row + 1] : row + 1;
  std::int64_t count = 0;
  for (std::int64_t bag = first; bag < last; ++bag) {
    const Id* ids = args.bags.ids + args.bags.begin[bag];
    for (int k = 0; k < args.bags.length[bag]; ++k, ++count) {
      const Real* from = args.table.row(ids[k]);
      for (int d = lanes.lane(); d < width; d += Lanes::size) out[d] += from[d];
    }
  }
  if (count < 2) return;
  const auto divisor = static_cast<Real>(count);
  for (int d = lanes.lane(); d < width; d += Lanes::size) out[d] /= divisor;
}

/// Item: one row.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const UserVectorRows<Real>& args, std::int64_t row) {
  if (args.users.length[row] == 0) return;
  const Id user = args.users.ids[args.users.begin[row]];
  const std::int64_t first = args.first_position != nullptr ? args.first_position[row] : row,
                     last = args.first_position != nullptr ? args.first_position[row + 1] : row + 1;
  std::int64_t count = 0;
  for (std::int64_t bag = first; bag < last; ++bag) count += args.histories.length[bag];
  if (count < args.least[user]) return;
  const Real* from = args.table.row(user);
  Real* out = args.out.row(row);
  for (int d = lanes.lane(); d < static_cast<int>(args.out.cols); d += Lanes::size) out[d] = from[d];
}

}  // namespace

SLLMR_ITEM_KERNELS(VectorMeans, "vector_means", args.out.rows)
SLLMR_ITEM_KERNELS(UserVectorRows, "user_vector_rows", args.out.rows)

}  // namespace sllmr
