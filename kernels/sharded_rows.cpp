#include "kernels/sharded_rows.h"

#include <algorithm>
#include <limits>

#include "kernels/embedding.h"
#include "kernels/exec/device_exchange.h"

namespace sllmr {

void RowRequest::plan(const RowShard& shard, std::span<const Id> ids) {
  // Keys of 32 bits, by owner and then place: a rank has no more places than this.
  const std::uint32_t most = std::numeric_limits<Id>::max() / static_cast<std::uint32_t>(shard.ranks) + 2;
  wanted_.clear();
  for (std::size_t k = 0; k < ids.size(); ++k) {
    if (ids[k] == 0) continue;
    const std::uint64_t key = static_cast<std::uint32_t>(shard.owner(ids[k])) * most +
                              static_cast<std::uint32_t>(shard.place(ids[k]));
    wanted_.push_back(key << 32 | k);
  }
  std::ranges::sort(wanted_);
  counts_.assign(static_cast<std::size_t>(shard.ranks), 0);
  numbers_.assign(ids.size(), 0);
  owners_.clear();
  places_.clear();
  std::uint64_t last = 0;
  for (const std::uint64_t each : wanted_) {
    const std::uint64_t key = each >> 32;
    if (key != last) {
      last = key;
      owners_.push_back(static_cast<int>(key / most));
      places_.push_back(static_cast<Id>(key % most));
      ++counts_[static_cast<std::size_t>(owners_.back())];
    }
    numbers_[each & 0xFFFFFFFF] = static_cast<Id>(places_.size());
  }
}

void RowRequest::plan(const RowShard& shard, std::span<Id* const> wanted) {
  ids_.clear();
  for (const Id* each : wanted) ids_.push_back(*each);
  plan(shard, ids_);
  for (std::size_t k = 0; k < wanted.size(); ++k) *wanted[k] = numbers_[k];
}

std::span<const Id> RowRequest::ask(const Context& context) {
  exchange(context.ranks(), std::span<const Id>(places_), counts_, asked_);
  return asked_.values;
}

Tensor<float> RowRequest::fetch(const Context& context, const Matrix<const float>& table) const {
  require(asked_.counts.size() == counts_.size(), "RowRequest::fetch: call ask() first");
  const Tensor<float> given = gather_rows(context, table, asked_.values);
  Tensor<float> out(context, 1 + rows(), table.cols);
  fill_zero(context, out.data(), static_cast<std::size_t>(table.cols) * sizeof(float));
  all_to_all_v_on_device(context, given.data(), bytes_of_rows(asked_.counts, table.cols),
                         out.data() + table.cols, bytes_of_rows(counts_, table.cols));
  return out;
}

Tensor<float> gather_rows(const Context& context, const Matrix<const float>& table,
                          std::span<const Id> places) {
  const auto n = std::ssize(places);
  Tensor<float> rows(context, n, table.cols);
  if (n == 0) return rows;
  const auto ids = Tensor<Id>::from(context, 1, n, places);
  run(context, GatherRows{.table = table, .ids = ids.data(), .out = rows});
  return rows;
}

std::vector<std::int64_t> bytes_of_rows(std::span<const std::int64_t> counts, std::int64_t width) {
  std::vector<std::int64_t> bytes;
  for (const std::int64_t n : counts) bytes.push_back(n * width * static_cast<std::int64_t>(sizeof(float)));
  return bytes;
}

}  // namespace sllmr
