#include "kernels/pair_sampler.h"

#include <limits>

namespace sllmr {

LargestPairs::LargestPairs(const Context& context, std::int64_t max_count)
    : sort_(context, max_count, std::numeric_limits<std::int32_t>::max()),
      keys_(context, static_cast<std::size_t>(max_count)),
      sorted_keys_(context, static_cast<std::size_t>(max_count)),
      order_(context, static_cast<std::size_t>(max_count)) {}

void LargestPairs::keep(const Context& context, RowPairs* pairs, std::int64_t count, std::int64_t keep) {
  if (keep >= count) return;
  run(context, GapKeys{.pairs = pairs, .count = count, .keys = keys_.data()});
  sort_(context, keys_.data(), count, sorted_keys_.data(), order_.data());
  run(context, DropPairs{.order = order_.data() + keep, .count = count - keep, .pairs = pairs});
}

}  // namespace sllmr
