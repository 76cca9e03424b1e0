// Stable sort of integer keys with a payload: CUB's radix sort on CUDA, the standard library on the CPU.
#pragma once

#include <cstdint>

#include "kernels/exec/memory.h"

namespace sllmr {

/// Sorts up to `max_items` (key, index) pairs ascending by key; equal keys keep their order.
class KeySort {
 public:
  KeySort() = default;
  KeySort(const Context& context, std::int64_t max_items);

  /// keys [n] -> sorted_keys [n]; order [n] gets the position each key came from. Keys must not be negative.
  void operator()(const Context& context, const std::int32_t* keys, std::int64_t n, std::int32_t* sorted_keys,
                  std::int32_t* order);

 private:
  void sort_on(OnCpu, const Context& context, const std::int32_t* keys, std::int64_t n,
               std::int32_t* sorted_keys, std::int32_t* order);
  void sort_on(OnCuda, const Context& context, const std::int32_t* keys, std::int64_t n,
               std::int32_t* sorted_keys, std::int32_t* order);
  static std::size_t scratch_bytes(OnCpu, std::int64_t max_items);
  static std::size_t scratch_bytes(OnCuda, std::int64_t max_items);

  std::int64_t max_items_ = 0;
  Buffer<std::int32_t> positions_;  // 0, 1, 2, ...: the payload before sorting
  Buffer<std::uint64_t> scratch_;
};

}  // namespace sllmr
