#include "kernels/exec/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/exec/cuda_check.h"
#include "kernels/exec/memory_peak.h"

namespace sllmr {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Ledger of one device's allocations.
struct Ledger {
  std::atomic<std::size_t> now{0}, peak{0};
  void add(std::size_t bytes) {
    const std::size_t total = now += bytes;
    std::size_t seen = peak;
    while (seen < total && !peak.compare_exchange_weak(seen, total)) {
    }
  }
};
Ledger& ledger(Device device) {
  static Ledger ledgers[2];
  return ledgers[device == Device::cuda ? 1 : 0];
}

/// Asynchronous on CUDA.
void copy_from_device([[maybe_unused]] const Context& context, void* to, const void* from, std::size_t bytes,
                      [[maybe_unused]] bool to_host) {
  if (bytes == 0) return;  // memcpy takes no null
#if SLLMR_WITH_CUDA
  if (context.device() == Device::cuda) {
    SLLMR_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes,
                                     to_host ? cudaMemcpyDeviceToHost : cudaMemcpyDeviceToDevice,
                                     static_cast<cudaStream_t>(context.stream())));
    return;
  }
#endif
  std::memcpy(to, from, bytes);
}

}  // namespace

void* device_allocate([[maybe_unused]] Device device, std::size_t bytes) {
  size_product(bytes);  // so that rounding it up does not wrap around
  void* memory = nullptr;
#if SLLMR_WITH_CUDA
  if (device == Device::cuda) {
    SLLMR_CUDA_CHECK(cudaMalloc(&memory, bytes));
    ledger(Device::cuda).add(bytes);
    return memory;
  }
#endif
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : kMemoryAlignment;
  memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) {
    throw Error("out of memory: " + std::to_string(bytes >> 20) +
                " MiB asked for; use a smaller width or batch");
  }
#if defined(MADV_HUGEPAGE)
  // Rows are read at random: with small pages half of the reads would first look for their page. Only advice,
  // so a refusal is no error.
  if (alignment == kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  ledger(Device::cpu).add(bytes);
  return memory;
}

void device_free(Device device, void* memory, std::size_t bytes) noexcept {
  ledger(device).now -= bytes;
#if SLLMR_WITH_CUDA
  if (device == Device::cuda) {
    cudaFree(memory);
    return;
  }
#endif
  std::free(memory);
}

std::size_t device_bytes(Device device) {
  return ledger(device).now;
}
std::size_t device_peak_bytes(Device device) {
  return ledger(device).peak;
}

void restart_device_peak(Device device) {
  Ledger& all = ledger(device);
  all.peak = all.now.load();
}

MemoryPool::~MemoryPool() {
  trim();
}

std::size_t MemoryPool::size_class(std::size_t bytes) {
  // An eighth of the power of two below: at most 12.5 % more than asked for.
  const std::size_t step = std::max(kMemoryAlignment, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

void* MemoryPool::take(std::size_t bytes) {
  void* memory = nullptr;
  if (const auto found = free_.find(bytes); found != free_.end()) {
    memory = found->second;
    free_.erase(found);
  } else {
    try {
      memory = device_allocate(device_, bytes);
    } catch (const Error&) {
      // Pieces of other sizes may be in the way.
      if (free_.empty() || held_) throw;
      trim();
      memory = device_allocate(device_, bytes);
    }
  }
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  return memory;
}

void MemoryPool::trim() noexcept {
  for (const auto& [bytes, memory] : free_) device_free(device_, memory, bytes);
  free_.clear();
}

void MemoryPool::give_back(void* memory, std::size_t bytes) noexcept {
  used_ -= bytes;
  free_.emplace(bytes, memory);
}

void copy_to_host(const Context& context, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;  // nothing to wait for
  copy_from_device(context, to, from, bytes, /*to_host=*/true);
  context.synchronize();
}

void copy_on_device(const Context& context, void* to, const void* from, std::size_t bytes) {
  copy_from_device(context, to, from, bytes, /*to_host=*/false);
}

void fill_zero([[maybe_unused]] const Context& context, void* memory, std::size_t bytes) {
#if SLLMR_WITH_CUDA
  if (context.device() == Device::cuda) {
    SLLMR_CUDA_CHECK(cudaMemsetAsync(memory, 0, bytes, static_cast<cudaStream_t>(context.stream())));
    return;
  }
#endif
  std::memset(memory, 0, bytes);
}

}  // namespace sllmr
