#include "kernels/exec/sort.h"

#include <numeric>
#include <vector>

namespace sllmr {

KeySort::KeySort(const Context& context, std::int64_t max_items) : max_items_(max_items) {
  on_device(context, [&](auto device) {
    scratch_ = Buffer<std::uint64_t>(context, scratch_bytes(device, max_items) / sizeof(std::uint64_t) + 1);
  });
  std::vector<std::int32_t> positions(static_cast<std::size_t>(max_items));
  std::iota(positions.begin(), positions.end(), 0);
  positions_ = Buffer<std::int32_t>(context, positions);
}

void KeySort::operator()(const Context& context, const std::int32_t* keys, std::int64_t n,
                         std::int32_t* sorted_keys, std::int32_t* order) {
  require(n <= max_items_, "KeySort: more items than it was made for");
  on_device(context, [&](auto device) { sort_on(device, context, keys, n, sorted_keys, order); });
}

}  // namespace sllmr
