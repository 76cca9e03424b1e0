#include "kernels/exec/context.h"

#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "kernels/exec/cuda_check.h"
#include "kernels/exec/memory.h"

namespace sllmr {

namespace {

constexpr std::size_t kAlignment = 256, kHugePage = std::size_t{2} << 20;

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

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "CPU";
}

double host_memory_gib() {
  std::ifstream info("/proc/meminfo");
  std::string key;
  double kib = 0;
  info >> key >> kib;
  return kib / (1024.0 * 1024.0);
}

#if SLLMR_WITH_CUDA
/// Pinned memory that small copies to the device leave from: the host goes on at once, however far behind the
/// stream is. Two halves in turn; one is written again when the stream has passed its last copy.
class StagingRing {
 public:
  static constexpr std::size_t kLargest = std::size_t{1} << 18;

  StagingRing() = default;
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;
  ~StagingRing() {
    for (cudaEvent_t event : passed_) {
      if (event != nullptr) cudaEventDestroy(event);
    }
    cudaFreeHost(memory_);
  }

  void allocate() {
    SLLMR_CUDA_CHECK(cudaHostAlloc(reinterpret_cast<void**>(&memory_), 2 * kHalf, cudaHostAllocDefault));
    for (cudaEvent_t& event : passed_) {
      SLLMR_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    }
  }
  /// A copy of at most kLargest bytes, for the stream to read.
  const void* stage(cudaStream_t stream, const void* from, std::size_t bytes) {
    if (at_ + bytes > kHalf) {
      SLLMR_CUDA_CHECK(cudaEventRecord(passed_[half_], stream));
      half_ = 1 - half_;
      at_ = 0;
      SLLMR_CUDA_CHECK(cudaEventSynchronize(passed_[half_]));
    }
    std::byte* to = memory_ + half_ * kHalf + at_;
    std::memcpy(to, from, bytes);
    at_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return to;
  }

 private:
  static constexpr std::size_t kHalf = std::size_t{1} << 20;
  std::byte* memory_ = nullptr;
  std::size_t half_ = 0, at_ = 0;
  cudaEvent_t passed_[2] = {};
};
#endif

}  // namespace

struct Context::Cuda {
#if !SLLMR_WITH_CUDA
  void *stream = nullptr, *side = nullptr, *blas = nullptr;
#else
  cudaStream_t stream = nullptr, side = nullptr;
  cudaEvent_t forked = nullptr, joined = nullptr;
  cublasHandle_t blas = nullptr;
  StagingRing staging;
#endif
};

bool cuda_available() {
#if SLLMR_WITH_CUDA
  int count = 0;
  const bool usable = cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  cudaGetLastError();
  return usable;
#else
  return false;
#endif
}

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices{{Device::cpu, cpu_name(), host_memory_gib(), omp_get_num_procs()}};
#if SLLMR_WITH_CUDA
  int count = 0;
  if (cuda_available()) SLLMR_CUDA_CHECK(cudaGetDeviceCount(&count));
  for (int k = 0; k < count; ++k) {
    cudaDeviceProp properties{};
    SLLMR_CUDA_CHECK(cudaGetDeviceProperties(&properties, k));
    devices.push_back({Device::cuda, properties.name,
                       static_cast<double>(properties.totalGlobalMem) / (1024.0 * 1024.0 * 1024.0),
                       properties.multiProcessorCount});
  }
#endif
  return devices;
}

Device parse_device(const std::string& name) {
  if (name == "cpu") return Device::cpu;
  if (name == "auto") return cuda_available() ? Device::cuda : Device::cpu;
  if (name != "cuda") throw Error("unknown device '" + name + "': use auto, cpu or cuda");
#if SLLMR_WITH_CUDA
  require(cuda_available(), "device=cuda, but no CUDA device or driver was found: use device=cpu");
  return Device::cuda;
#else
  throw Error(
      "device=cuda, but this program was built without CUDA: build with nvcc on PATH, or use device=cpu");
#endif
}

Context::Context(Device device, int threads)
    : device_(device),
      threads_(threads > 0 ? threads : omp_get_num_procs()),
      units_(threads_),
      cuda_(std::make_unique<Cuda>()),
      pool_(std::make_unique<MemoryPool>(device)) {
  // For the parallel regions of OpenBLAS and of the host, which have no context.
  if (threads > 0 && omp_in_parallel() == 0) omp_set_num_threads(threads);
#if SLLMR_WITH_CUDA
  if (device_ == Device::cuda) {
    int id = 0;
    SLLMR_CUDA_CHECK(cudaGetDevice(&id));
    SLLMR_CUDA_CHECK(cudaDeviceGetAttribute(&units_, cudaDevAttrMultiProcessorCount, id));
    SLLMR_CUDA_CHECK(cudaStreamCreateWithFlags(&cuda_->stream, cudaStreamNonBlocking));
    SLLMR_CUDA_CHECK(cudaStreamCreateWithFlags(&cuda_->side, cudaStreamNonBlocking));
    SLLMR_CUDA_CHECK(cudaEventCreateWithFlags(&cuda_->forked, cudaEventDisableTiming));
    SLLMR_CUDA_CHECK(cudaEventCreateWithFlags(&cuda_->joined, cudaEventDisableTiming));
    SLLMR_CUDA_CHECK(cublasCreate(&cuda_->blas));
    SLLMR_CUDA_CHECK(cublasSetStream(cuda_->blas, cuda_->stream));
    cuda_->staging.allocate();
  }
#else
  require(device_ == Device::cpu, "this program was built without CUDA: use device=cpu");
#endif
}

Context::~Context() {
  pool_.reset();
#if SLLMR_WITH_CUDA
  if (device_ == Device::cuda) {
    cublasDestroy(cuda_->blas);
    cudaEventDestroy(cuda_->forked);
    cudaEventDestroy(cuda_->joined);
    cudaStreamDestroy(cuda_->side);
    cudaStreamDestroy(cuda_->stream);
  }
#endif
}

void* Context::stream() const {
  return cuda_->stream;
}

void* Context::side_stream() const {
  return cuda_->side;
}

void Context::fork() const {
#if SLLMR_WITH_CUDA
  if (device_ != Device::cuda) return;
  SLLMR_CUDA_CHECK(cudaEventRecord(cuda_->forked, cuda_->stream));
  SLLMR_CUDA_CHECK(cudaStreamWaitEvent(cuda_->side, cuda_->forked));
#endif
}

void Context::join() const {
#if SLLMR_WITH_CUDA
  if (device_ != Device::cuda) return;
  SLLMR_CUDA_CHECK(cudaEventRecord(cuda_->joined, cuda_->side));
  SLLMR_CUDA_CHECK(cudaStreamWaitEvent(cuda_->stream, cuda_->joined));
#endif
}

void* Context::blas() const {
  return cuda_->blas;
}

void Context::synchronize() const {
#if SLLMR_WITH_CUDA
  if (device_ == Device::cuda) SLLMR_CUDA_CHECK(cudaStreamSynchronize(cuda_->stream));
#endif
}

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
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
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

MemoryPool::~MemoryPool() {
  trim();
}

std::size_t MemoryPool::size_class(std::size_t bytes) {
  // An eighth of the power of two below: at most 12.5 % more than asked for.
  const std::size_t step = std::max(kAlignment, std::bit_floor(bytes) / 8);
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

void copy_to_device([[maybe_unused]] const Context& context, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;  // memcpy takes no null
#if SLLMR_WITH_CUDA
  if (context.device() == Device::cuda) {
    const auto stream = static_cast<cudaStream_t>(context.stream());
    const bool staged = bytes <= StagingRing::kLargest;
    if (staged) from = context.cuda_->staging.stage(stream, from, bytes);
    SLLMR_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream));
    if (!staged) context.synchronize();  // the host's memory may go out of scope
    return;
  }
#endif
  std::memcpy(to, from, bytes);
}

void copy_to_host([[maybe_unused]] const Context& context, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;  // memcpy takes no null
#if SLLMR_WITH_CUDA
  if (context.device() == Device::cuda) {
    SLLMR_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost,
                                     static_cast<cudaStream_t>(context.stream())));
    context.synchronize();
    return;
  }
#endif
  std::memcpy(to, from, bytes);
}

void copy_on_device([[maybe_unused]] const Context& context, void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;  // memcpy takes no null
#if SLLMR_WITH_CUDA
  if (context.device() == Device::cuda) {
    SLLMR_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice,
                                     static_cast<cudaStream_t>(context.stream())));
    return;
  }
#endif
  std::memcpy(to, from, bytes);
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
