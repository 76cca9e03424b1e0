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

MfBatch::Side MfBatch::make_side(const Context& context, std::int64_t rows, std::int64_t occurrences,
                                 bool steps_with_sums) const {
  const auto n = static_cast<std::size_t>(occurrences);
  std::size_t summed = steps_with_sums ? 0 : n;
  if (info_of(optimizer_).every_row) summed = static_cast<std::size_t>(rows);
  return {rows, Buffer<Id>(context, n), Buffer<Id>(context, n), Buffer<std::int32_t>(context, n),
          Buffer<float>(context, size_product(summed, width_))};
}

MfBatch::MfBatch(const Context& context, int width, std::int64_t user_rows, std::int64_t item_rows,
                 std::int64_t max_rows, OptimizerKind optimizer)
    : width_(checked_width(width)),
      max_rows_(max_rows),
      optimizer_(optimizer),
      sort_(context, max_rows * ItemGradients::most, static_cast<Id>(std::max(user_rows, item_rows))),
      gradients_(context, static_cast<std::size_t>(max_rows)),
      users_(make_side(context, user_rows, max_rows, false)),
      items_(make_side(context, item_rows, max_rows * ItemGradients::most, true)) {}

MfOccurrences MfBatch::sorted(const Context& context, Side& side, std::int64_t n) {
  sort_(context, side.keys.data(), n, side.sorted_keys.data(), side.order.data());
  return {side.rows, n, side.sorted_keys.data(), side.order.data(), side.sums.data()};
}

void MfBatch::step(const Context& context, std::int32_t step, const MfArgs& args) {
  require(args.rows <= max_rows_ && args.rows <= args.gate.n_slots,
          "MfBatch::step: more rows than it was made for");
  run(context, MfGradients{.width = width_,
                           .mf = args,
                           .gradients = gradients_.data(),
                           .user_keys = users_.keys.data(),
                           .item_keys = items_.keys.data(),
                           .no_item = static_cast<Id>(items_.rows)});
  const MfOccurrences users = sorted(context, users_, args.rows);
  const MfOccurrences items = sorted(context, items_, args.rows * item_slots(args));
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
