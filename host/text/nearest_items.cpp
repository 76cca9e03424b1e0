#include "host/text/nearest_items.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>

#include "host/base/progress.h"
#include "kernels/exec/gemm.h"
#include "kernels/exec/interrupt.h"
#include "kernels/exec/parallel.h"

namespace sllmr {

namespace {

/// Finds the neighbours of a stretch of items after the other, in the same memory.
class Finder {
 public:
  Finder(const Tensor<float>& all, int k)
      : all_(all),
        k_(static_cast<std::size_t>(k)),
        found_(static_cast<std::size_t>(std::min<std::int64_t>(k, all.rows() - 2))),
        order_(static_cast<std::size_t>(all.rows() - 2)) {}

  /// Of items first .. first + n - 1 to nearest [(items + 1) x k].
  void take(const Context& context, std::int64_t first, std::int64_t n, std::span<Id> nearest) {
    const std::vector<float> cosines =
        products<float>(context, all_.row_range(first, n), all_).to_host(context);
    const auto rows = static_cast<std::size_t>(all_.rows());
    for (std::size_t r = 0; r < static_cast<std::size_t>(n); ++r) {
      const auto item = static_cast<std::size_t>(first) + r;
      of_item(static_cast<Id>(item), std::span(cosines).subspan(r * rows, rows),
              nearest.subspan(item * k_, k_));
    }
  }

 private:
  void of_item(Id item, std::span<const float> cosines, std::span<Id> nearest) {
    std::iota(order_.begin(), order_.begin() + (item - 1), Id{1});
    std::iota(order_.begin() + (item - 1), order_.end(), item + 1);
    const auto rounded = [&](Id other) {
      return std::round(cosines[static_cast<std::size_t>(other)] * 0x1p16F);
    };
    const auto before = [&](Id a, Id b) {
      const float x = rounded(a), y = rounded(b);
      return x != y ? x > y : a < b;
    };
    std::ranges::partial_sort(order_, order_.begin() + static_cast<std::ptrdiff_t>(found_), before);
    for (std::size_t j = 0; j < k_; ++j) nearest[j] = order_[j % found_];
  }

  const Tensor<float>& all_;
  std::size_t k_, found_;
  std::vector<Id> order_;
};

}  // namespace

std::vector<Id> nearest_items(const Context& context, const TextVectors& vectors, int k) {
  const std::int64_t rows = std::ssize(vectors.values) / vectors.width, items = rows - 1;
  require(k >= 1 && items >= 2, "nearest_items: there must be two items, and a neighbour to ask for");
  constexpr std::int64_t kTile = 256;
  const auto all = Tensor<float>::from(context, rows, vectors.width, std::span<const float>(vectors.values));
  std::vector<Id> nearest(static_cast<std::size_t>(rows * k));
  const std::int64_t tiles = (items + kTile - 1) / kTile;
  SharedItems shared(tiles);
  Progress progress("looking for alike items", items, "items");
  std::atomic<std::int64_t> done = 0;
  const bool on_cpu = context.device() == Device::cpu;
  on_threads(on_cpu ? static_cast<int>(std::min<std::int64_t>(context.threads(), tiles)) : 1,
             [&](int thread) {
               const Context own(Device::cpu, 1);
               Finder finder(all, k);
               shared.take([&](std::int64_t tile) {
                 throw_if_interrupted();
                 const std::int64_t first = 1 + tile * kTile, n = std::min(kTile, rows - first);
                 finder.take(on_cpu ? own : context, first, n, nearest);
                 done += n;
                 if (thread == 0) progress.update(done);
               });
             });
  return nearest;
}

}  // namespace sllmr
