// Stable radix sort of integer keys with a payload: CUB's on CUDA.
#pragma once

#include <cstdint>

#include "kernels/exec/memory.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// The bytes of scratch memory that sorting up to max_items keys takes.
struct SortScratch {
  std::int64_t max_items;
  std::size_t* bytes;  // on the host
};

/// See KeySort.
struct SortKeys {
  const std::int32_t* keys;       // [n]
  const std::int32_t* positions;  // [n]: 0, 1, 2, ...
  int bits;                       // of the largest key
  std::int64_t n;
  Buffer<std::uint64_t>* scratch;
  std::int32_t* sorted_keys;  // [n]
  std::int32_t* order;        // [n]
};

/// Sorts up to `max_items` (key, index) pairs ascending by key; equal keys keep their order. Keys are in
/// 0 .. max_key: the smaller, the faster.
class KeySort {
 public:
  KeySort() = default;
  KeySort(const Context& context, std::int64_t max_items, std::int32_t max_key);

  /// keys [n] -> sorted_keys [n]; order [n] gets the position each key came from.
  void operator()(const Context& context, const std::int32_t* keys, std::int64_t n, std::int32_t* sorted_keys,
                  std::int32_t* order);

 private:
  std::int64_t max_items_ = 0;
  int bits_ = 0;
  Buffer<std::int32_t> positions_;  // 0, 1, 2, ...: the payload before sorting
  Buffer<std::uint64_t> scratch_;
};

}  // namespace sllmr
