#include "kernels/exec/sort.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <vector>

namespace sllmr {

KeySort::KeySort(const Context& context, std::int64_t max_items, std::int32_t max_key)
    : max_items_(max_items),
      bits_(std::max(1, static_cast<int>(std::bit_width(static_cast<std::uint32_t>(max_key))))) {
  std::size_t bytes = 0;
  run(context, SortScratch{.max_items = max_items, .bytes = &bytes});
  scratch_ = Buffer<std::uint64_t>(context, bytes / sizeof(std::uint64_t) + 1);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(max_items));
  std::iota(positions.begin(), positions.end(), 0);
  positions_ = Buffer<std::int32_t>(context, positions);
}

void KeySort::operator()(const Context& context, const std::int32_t* keys, std::int64_t n,
                         std::int32_t* sorted_keys, std::int32_t* order) {
  require(n <= max_items_, "KeySort: more items than it was made for");
  run(context, SortKeys{.keys = keys,
                        .positions = positions_.data(),
                        .bits = bits_,
                        .n = n,
                        .scratch = &scratch_,
                        .sorted_keys = sorted_keys,
                        .order = order});
}

}  // namespace sllmr
