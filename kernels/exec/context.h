// Where work runs: a device, its stream, its BLAS handle, its number of threads.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/exec/error.h"
#include "kernels/exec/not_copied.h"
#include "kernels/exec/types.h"

namespace sllmr {

/// Description of one device for `sllmr devices` and for reports.
struct DeviceInfo {
  Device device;
  std::string name;
  double memory_gib;
  int units;  // CPU threads or streaming multiprocessors
};

/// The CPU and every usable CUDA device.
std::vector<DeviceInfo> list_devices();
/// "auto" (CUDA when there is a device), "cpu" or "cuda". Throws Error when the device is not there.
Device parse_device(const std::string& name);
bool cuda_available();

class Communicator;
class DeviceLink;
class MemoryPool;

/// A device that another program runs: its current CUDA stream (cudaStream_t; null on the CPU), and how many
/// threads of the CPU may be taken.
struct GuestOf {
  Device device;
  void* stream = nullptr;
  int threads = 1;
};

/// Owns the stream, the BLAS handle and the memory pool of one device. Kernels take it first. Not
/// thread-safe; one per host thread.
class Context : NotCopied {
 public:
  /// `threads`: CPU threads, 0 for all. `ranks`: the processes that train one model together; null: this one
  /// alone.
  explicit Context(Device device, int threads = 0, Communicator* ranks = nullptr);
  /// For launches and nothing else, into a stream that stays its owner's.
  explicit Context(const GuestOf& owner);
  ~Context();

  Device device() const { return device_; }
  int threads() const { return threads_; }
  Communicator& ranks() const { return *ranks_; }
  /// Between the ranks' devices, where there is one (kernels/exec/device_exchange.h); else null.
  DeviceLink* link() const { return link_.get(); }
  void link(std::unique_ptr<DeviceLink> link);
  /// Streaming multiprocessors; threads on the CPU.
  int units() const { return units_; }
  /// cudaStream_t; null on the CPU.
  void* stream() const;
  /// A second stream (null on the CPU), for kernels that may run beside those launched into the first one
  /// between fork() and join(): they see all that was launched before fork(), and what is launched after
  /// join() sees them.
  void* side_stream() const;
  void fork() const;
  void join() const;
  /// cublasHandle_t; null on the CPU.
  void* blas() const;
  /// Where tensors get their memory.
  MemoryPool& pool() const { return *pool_; }
  /// Waits for everything launched so far. Throws Error if any of it failed.
  void synchronize() const;

 private:
  friend void copy_to_device(const Context& context, void* to, const void* from, std::size_t bytes);
  struct Cuda;
  Device device_;
  int threads_, units_;
  Communicator* ranks_;
  std::unique_ptr<Cuda> cuda_;
  std::unique_ptr<MemoryPool> pool_;
  std::unique_ptr<DeviceLink> link_;
};

/// Calls `function(OnCpu())` or `function(OnCuda())` for the context's device.
template <class Function>
decltype(auto) on_device([[maybe_unused]] const Context& context, Function&& function) {
#if SLLMR_WITH_CUDA
  if (context.device() == Device::cuda) return function(OnCuda());
#endif
  return function(OnCpu());
}

}  // namespace sllmr
