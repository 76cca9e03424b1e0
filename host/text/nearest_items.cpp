#include "host/text/nearest_items.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>

#include "kernels/exec/gemm.h"

namespace sllmr {

std::vector<Id> nearest_items(const Context& context, const TextVectors& vectors, int k) {
  const std::int64_t rows = std::ssize(vectors.values) / vectors.width, items = rows - 1;
  require(k >= 1 && items >= 2, "nearest_items: there must be two items, and a neighbour to ask for");
  constexpr std::int64_t kTile = 256;
  const auto all = Tensor<float>::from(context, rows, vectors.width, std::span<const float>(vectors.values));
  const auto found = static_cast<std::size_t>(std::min<std::int64_t>(k, items - 1));
  std::vector<Id> nearest(static_cast<std::size_t>(rows * k)), order(static_cast<std::size_t>(items - 1));
  for (std::int64_t first = 1; first < rows; first += kTile) {
    const std::int64_t n = std::min(kTile, rows - first);
    const std::vector<float> cosines =
        products<float>(context, all.row_range(first, n), all).to_host(context);
    for (std::int64_t r = 0; r < n; ++r) {
      const auto item = static_cast<Id>(first + r);
      const std::span<const float> of_item(cosines.data() + r * rows, static_cast<std::size_t>(rows));
      std::iota(order.begin(), order.begin() + (item - 1), Id{1});
      std::iota(order.begin() + (item - 1), order.end(), item + 1);
      const auto rounded = [&](Id other) {
        return std::round(of_item[static_cast<std::size_t>(other)] * 0x1p16F);
      };
      const auto before = [&](Id a, Id b) {
        const float x = rounded(a), y = rounded(b);
        return x != y ? x > y : a < b;
      };
      std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(found), before);
      for (std::size_t j = 0; j < static_cast<std::size_t>(k); ++j) {
        nearest[static_cast<std::size_t>(item) * static_cast<std::size_t>(k) + j] = order[j % found];
      }
    }
  }
  return nearest;
}

}  // namespace sllmr
