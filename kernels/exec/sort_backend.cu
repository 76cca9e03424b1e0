#include <algorithm>

#include "kernels/exec/launch.h"
#include "kernels/exec/sort.h"

#if defined(__CUDACC__)
#include <cub/device/device_radix_sort.cuh>
#endif

namespace sllmr {

#if defined(__CUDACC__)

std::size_t KeySort::scratch_bytes(OnCuda, std::int64_t max_items) {
  std::size_t bytes = 0;
  const std::int32_t* in = nullptr;
  std::int32_t* out = nullptr;
  SLLMR_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(nullptr, bytes, in, out, in, out, max_items));
  return bytes;
}

void KeySort::sort_on(OnCuda, const Context& context, const std::int32_t* keys, std::int64_t n,
                      std::int32_t* sorted_keys, std::int32_t* order) {
  if (n == 0) return;
  std::size_t bytes = scratch_.size() * sizeof(std::uint64_t);
  SLLMR_CUDA_CHECK(cub::DeviceRadixSort::SortPairs(scratch_.data(), bytes, keys, sorted_keys,
                                                   positions_.data(), order, n, 0, 31,
                                                   static_cast<cudaStream_t>(context.stream())));
}

#else

std::size_t KeySort::scratch_bytes(OnCpu, std::int64_t max_items) {
  return static_cast<std::size_t>(max_items) * sizeof(std::uint64_t);
}

void KeySort::sort_on(OnCpu, const Context&, const std::int32_t* keys, std::int64_t n,
                      std::int32_t* sorted_keys, std::int32_t* order) {
  // Key and position in one word: sorting words is then a stable sort by key.
  std::uint64_t* words = scratch_.data();
  for (std::int64_t k = 0; k < n; ++k) {
    words[k] = (static_cast<std::uint64_t>(keys[k]) << 32) | static_cast<std::uint32_t>(positions_.data()[k]);
  }
  std::sort(words, words + n);
  for (std::int64_t k = 0; k < n; ++k) {
    sorted_keys[k] = static_cast<std::int32_t>(words[k] >> 32);
    order[k] = static_cast<std::int32_t>(words[k] & 0xFFFFFFFFU);
  }
}

#endif

}  // namespace sllmr
