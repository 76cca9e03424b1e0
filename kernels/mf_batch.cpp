#include "kernels/mf_batch.h"

#include <algorithm>

namespace sllmr {

namespace {

/// Before any memory is asked for.
int checked_width(int width) {
  for_mf_width(width, [](auto) {});
  return width;
}

}  // namespace

MfBatchRows::MfBatchRows(const Context& context, int width, std::int64_t user_rows, std::int64_t item_rows,
                         std::int64_t max_rows, OptimizerKind optimizer)
    : sort_(context, max_rows * ItemGradients::most, static_cast<Id>(std::max(user_rows, item_rows))) {
  const auto side = [&](std::int64_t rows, std::int64_t occurrences, bool steps_with_sums) {
    const auto n = static_cast<std::size_t>(occurrences);
    std::size_t summed = steps_with_sums ? 0 : n;
    if (info_of(optimizer).every_row) summed = static_cast<std::size_t>(rows);
    return Side{rows, Buffer<Id>(context, n), Buffer<Id>(context, n), Buffer<std::int32_t>(context, n),
                Buffer<float>(context, size_product(summed, width))};
  };
  users_ = side(user_rows, max_rows, false);
  items_ = side(item_rows, max_rows * ItemGradients::most, true);
}

MfOccurrences MfBatchRows::sorted(const Context& context, Side& side, std::int64_t n) {
  if (n > 0) sort_(context, side.keys.data(), n, side.sorted_keys.data(), side.order.data());
  return {side.rows, n, side.sorted_keys.data(), side.order.data(), side.sums.data()};
}

MfBatch::MfBatch(const Context& context, int width, std::int64_t user_rows, std::int64_t item_rows,
                 std::int64_t max_rows, OptimizerKind optimizer)
    : width_(checked_width(width)),
      max_rows_(max_rows),
      optimizer_(optimizer),
      gradients_(context, static_cast<std::size_t>(max_rows)),
      rows_(context, width, user_rows, item_rows, max_rows, optimizer) {}

void MfBatch::step(const Context& context, std::int32_t step, const MfArgs& args) {
  require(args.rows <= max_rows_ && args.rows <= args.gate.n_slots,
          "MfBatch::step: more rows than it was made for");
  run(context, MfGradients{.width = width_,
                           .mf = args,
                           .gradients = gradients_.data(),
                           .user_keys = rows_.user_keys(),
                           .item_keys = rows_.item_keys(),
                           .no_item = static_cast<Id>(rows_.item_rows())});
  const MfOccurrences users = rows_.users(context, args.rows);
  const MfOccurrences items = rows_.items(context, args.rows * item_slots(args));
  run(context, MfUpdate{.width = width_,
                        .optimizer = optimizer_,
                        .step = step,
                        .mf = args,
                        .mean_of = args.rows,
                        .gradients = gradients_.data(),
                        .users = users,
                        .items = items});
}

}  // namespace sllmr
