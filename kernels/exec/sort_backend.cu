#include <algorithm>

#include "kernels/exec/launch.h"
#include "kernels/exec/sort.h"

#if defined(__CUDACC__)
#include <cub/device/device_radix_sort.cuh>
#endif

namespace sllmr {

namespace {

#if defined(__CUDACC__)

void run_here(const Context&, const SortScratch& args) {
  const std::int32_t* in = nullptr;
  std::int32_t* out = nullptr;
  SLLMR_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(nullptr, *args.bytes, in, out, in, out, args.max_items));
}

void run_here(const Context& context, const SortKeys& args) {
  if (args.n == 0) return;
  std::size_t bytes = args.scratch->size() * sizeof(std::uint64_t);
  SLLMR_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(args.scratch->data(), bytes, args.keys, args.sorted_keys,
                                                   args.positions, args.order, args.n, 0, 31,
                                                   static_cast<cudaStream_t>(context.stream())));
}

#else

void run_here(const Context&, const SortScratch& args) {
  *args.bytes = static_cast<std::size_t>(args.max_items) * sizeof(std::uint64_t);
}

void run_here(const Context&, const SortKeys& args) {
  // Key and position in one word: sorting words is then a stable sort by key.
  std::uint64_t* words = args.scratch->data();
  for (std::int64_t k = 0; k < args.n; ++k) {
    words[k] =
        (static_cast<std::uint64_t>(args.keys[k]) << 32) | static_cast<std::uint32_t>(args.positions[k]);
  }
  std::sort(words, words + args.n);
  for (std::int64_t k = 0; k < args.n; ++k) {
    args.sorted_keys[k] = static_cast<std::int32_t>(words[k] >> 32);
    args.order[k] = static_cast<std::int32_t>(words[k] & 0xFFFFFFFFU);
  }
}

#endif

}  // namespace

SLLMR_KERNEL(SortScratch)
SLLMR_KERNEL(SortKeys)

}  // namespace sllmr
