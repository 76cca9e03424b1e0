// Device memory. Kernels take plain pointers; Buffer owns.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "kernels/exec/context.h"
#include "kernels/exec/not_copied.h"
#include "kernels/exec/sizes.h"

namespace sllmr {

/// Of all that device_allocate returns.
inline constexpr std::size_t kMemoryAlignment = 256;

/// Raw device memory. Throws Error when there is not enough.
void* device_allocate(Device device, std::size_t bytes);
void device_free(Device device, void* memory, std::size_t bytes) noexcept;
/// Bytes currently held through device_allocate on `device`, and the most there ever were.
std::size_t device_bytes(Device device);
std::size_t device_peak_bytes(Device device);
void copy_to_device(const Context& context, void* to, const void* from, std::size_t bytes);
void copy_to_host(const Context& context, void* to, const void* from, std::size_t bytes);
/// Within the device; the two ranges do not overlap.
void copy_on_device(const Context& context, void* to, const void* from, std::size_t bytes);
void fill_zero(const Context& context, void* memory, std::size_t bytes);

/// Memory that is handed out again and again, so that a training step allocates nothing: on one stream,
/// what is given back may be taken at once by whatever is launched next. Not thread-safe.
class MemoryPool : NotCopied {
 public:
  explicit MemoryPool(Device device) : device_(device) {}
  ~MemoryPool();

  /// The size that `bytes` are rounded up to; take() and give_back() want such sizes.
  static std::size_t size_class(std::size_t bytes);
  /// Not initialised. Throws Error when there is not enough, even without the pieces that nobody has
  /// (which a Hold keeps).
  void* take(std::size_t bytes);
  void give_back(void* memory, std::size_t bytes) noexcept;
  /// Frees what nobody has taken. On CUDA this waits for the device, as cudaFree does.
  void trim() noexcept;
  /// Keeps what nobody has taken while this lives: a graph that is being recorded holds addresses of it.
  class Hold : NotCopied {
   public:
    explicit Hold(MemoryPool& pool) : pool_(pool) { pool_.held_ = true; }
    ~Hold() { pool_.held_ = false; }

   private:
    MemoryPool& pool_;
  };
  /// The most bytes that were in use at once.
  std::size_t peak_bytes() const { return peak_; }

 private:
  Device device_;
  std::size_t used_ = 0, peak_ = 0;
  bool held_ = false;
  std::multimap<std::size_t, void*> free_;
};

/// A move-only array on the context's device. Elements are trivially copyable and start at zero.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Context& context, std::size_t size) : Buffer(context.device(), size) { zero(context); }
  Buffer(const Context& context, std::span<const T> values) : Buffer(context, values.size()) {
    assign(context, values);
  }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) device_free(device_, data_, size_ * sizeof(T));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }

  /// Copies `values` (as many as the buffer holds) to the device.
  void assign(const Context& context, std::span<const T> values) {
    require(values.size() == size_, "Buffer::assign: sizes differ");
    if (size_ != 0) copy_to_device(context, data_, values.data(), size_ * sizeof(T));
  }
  /// Copies everything to the host; waits for the device.
  std::vector<T> to_host(const Context& context) const {
    std::vector<T> host(size_);
    if (size_ != 0) copy_to_host(context, host.data(), data_, size_ * sizeof(T));
    return host;
  }
  void zero(const Context& context) {
    if (size_ != 0) fill_zero(context, data_, size_ * sizeof(T));
  }

 private:
  /// Not filled yet: what throws after this is constructed loses no memory.
  Buffer(Device device, std::size_t size) : device_(device), size_(size) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (size != 0) data_ = static_cast<T*>(device_allocate(device, size_product(size, sizeof(T))));
  }
  void swap(Buffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  Device device_ = Device::cpu;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sllmr
