#include <cstdint>
#include <utility>

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
                                                   args.positions, args.order, args.n, 0, args.bits,
                                                   static_cast<cudaStream_t>(context.stream())));
}

#else

void run_here(const Context&, const SortScratch& args) {
  *args.bytes = 2 * static_cast<std::size_t>(args.max_items) * sizeof(std::uint64_t);
}

/// From the lowest digit to the highest; each pass keeps the order of equal digits. Key and position travel
/// in one word.
void run_here(const Context&, const SortKeys& args) {
  constexpr int kMostBits = 11;  // of a digit: its counts stay in the first-level cache
  const int passes = (args.bits + kMostBits - 1) / kMostBits, digit_bits = (args.bits + passes - 1) / passes;
  std::uint64_t* from = args.scratch->data();
  std::uint64_t* to = from + args.n;
  for (std::int64_t k = 0; k < args.n; ++k) {
    from[k] =
        (static_cast<std::uint64_t>(args.keys[k]) << 32) | static_cast<std::uint32_t>(args.positions[k]);
  }
  for (int pass = 0; pass < passes; ++pass) {
    const auto digit = [shift = 32 + pass * digit_bits, mask = (1U << digit_bits) - 1](std::uint64_t word) {
      return static_cast<std::uint32_t>(word >> shift) & mask;
    };
    std::int32_t place[(1 << kMostBits) + 1] = {};  // where the next word of a digit goes
    for (std::int64_t k = 0; k < args.n; ++k) ++place[digit(from[k]) + 1];
    for (int d = 1; d < 1 << digit_bits; ++d) place[d] += place[d - 1];
    for (std::int64_t k = 0; k < args.n; ++k) to[place[digit(from[k])]++] = from[k];
    std::swap(from, to);
  }
  for (std::int64_t k = 0; k < args.n; ++k) {
    args.sorted_keys[k] = static_cast<std::int32_t>(from[k] >> 32);
    args.order[k] = static_cast<std::int32_t>(from[k] & 0xFFFFFFFFU);
  }
}

#endif

}  // namespace

SLLMR_KERNEL(SortScratch)
SLLMR_KERNEL(SortKeys)

}  // namespace sllmr
