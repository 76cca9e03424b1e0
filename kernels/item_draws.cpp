#include "kernels/item_draws.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sllmr {

std::vector<AliasCell> alias_table(std::span<const std::int64_t> taken, double power) {
  if (power == 0) return {};
  const std::size_t n = taken.size();
  std::vector<double> share(n);  // of a cell's width, all of which together are n
  for (std::size_t k = 0; k < n; ++k) {
    share[k] = std::pow(static_cast<double>(std::max<std::int64_t>(taken[k], 1)), power);
  }
  const double scale = static_cast<double>(n) / std::accumulate(share.begin(), share.end(), 0.0);
  std::vector<std::size_t> poor, rich;
  for (std::size_t k = 0; k < n; ++k) {
    share[k] *= scale;
    (share[k] < 1 ? poor : rich).push_back(k);
  }
  // Cells that keep all of their width need no other item.
  std::vector<AliasCell> cells(n);
  for (std::size_t k = 0; k < n; ++k) {
    cells[k] = {std::numeric_limits<std::uint32_t>::max(), static_cast<Id>(k) + 1};
  }
  while (!poor.empty() && !rich.empty()) {
    const std::size_t from = rich.back(), to = poor.back();
    poor.pop_back();
    cells[to] = {static_cast<std::uint32_t>(share[to] * 0x1p32), static_cast<Id>(from) + 1};
    share[from] -= 1 - share[to];
    if (share[from] < 1) {
      rich.pop_back();
      poor.push_back(from);
    }
  }
  return cells;
}

}  // namespace sllmr
