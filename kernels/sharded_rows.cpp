#include "kernels/sharded_rows.h"

#include <algorithm>
#include <cstring>

#include "kernels/embedding.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

void RowRequest::plan(const RowShard& shard, std::span<const Id> ids) {
  counts_.assign(static_cast<std::size_t>(shard.ranks), 0);
  wanted_.clear();
  for (std::size_t k = 0; k < ids.size(); ++k) {
    if (ids[k] == 0) continue;
    const std::int64_t owner = shard.owner(ids[k]);
    wanted_.push_back({(owner << 32) + shard.place(ids[k]), k});
  }
  number_wanted(ids.size());
}

void RowRequest::plan(const RowShard& shard, std::span<Id* const> wanted) {
  ids_.clear();
  for (const Id* each : wanted) ids_.push_back(*each);
  plan(shard, ids_);
  for (std::size_t k = 0; k < wanted.size(); ++k) *wanted[k] = numbers_[k];
}

void RowRequest::number_wanted(std::size_t n) {
  std::ranges::sort(wanted_, {}, &Wanted::key);
  numbers_.assign(n, 0);
  owners_.clear();
  places_.clear();
  std::int64_t last = -1;
  for (const Wanted& each : wanted_) {
    if (each.key != last) {
      last = each.key;
      owners_.push_back(static_cast<int>(each.key >> 32));
      places_.push_back(static_cast<Id>(each.key & 0xFFFFFFFF));
      ++counts_[static_cast<std::size_t>(owners_.back())];
    }
    numbers_[each.of] = static_cast<Id>(places_.size());
  }
}

void RowRequest::fetch(const Context& context, const float* table, std::int64_t own_rows, int width,
                       std::vector<float>& out) {
  Communicator& ranks = context.ranks();
  exchange(ranks, std::span<const Id>(places_), counts_, asked_);
  gather_to_host(context, table, own_rows, width, asked_.values, given_);
  const auto row = std::int64_t{width} * static_cast<std::int64_t>(sizeof(float));
  std::vector<std::int64_t> sent, received;
  for (std::size_t r = 0; r < counts_.size(); ++r) {
    sent.push_back(asked_.counts[r] * row);
    received.push_back(counts_[r] * row);
  }
  out.assign(size_product(1 + rows(), width), 0.0F);
  ranks.all_to_all_v(given_.data(), sent, out.data() + width, received);
}

void gather_to_host(const Context& context, const float* table, std::int64_t table_rows, int width,
                    std::span<const Id> places, std::vector<float>& rows) {
  rows.resize(size_product(std::ssize(places), width));
  if (places.empty()) return;
  if (context.device() == Device::cpu) {
    for (std::size_t k = 0; k < places.size(); ++k) {
      std::memcpy(rows.data() + k * static_cast<std::size_t>(width),
                  table + static_cast<std::int64_t>(places[k]) * width,
                  static_cast<std::size_t>(width) * sizeof(float));
    }
    return;
  }
  const auto n = std::ssize(places);
  const auto ids = Tensor<Id>::from(context, 1, n, places);
  const Tensor<float> gathered(context, n, width);
  run(context, GatherRows{.table = {table, table_rows, width}, .ids = ids.data(), .out = gathered});
  copy_to_host(context, rows.data(), gathered.data(), rows.size() * sizeof(float));
}

}  // namespace sllmr
