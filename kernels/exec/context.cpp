#include "kernels/exec/context.h"

#include <cstring>
#include <fstream>
#include <utility>

#include "kernels/exec/communicator.h"
#include "kernels/exec/cuda_check.h"
#include "kernels/exec/device_exchange.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/not_copied.h"
#include "kernels/exec/parallel.h"

namespace sllmr {

namespace {

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
class StagingRing : NotCopied {
 public:
  static constexpr std::size_t kLargest = std::size_t{1} << 18;

  ~StagingRing() {
    for (cudaEvent_t event : passed_) {
      if (event != nullptr) cudaEventDestroy(event);
    }
    if (memory_ != nullptr) cudaFreeHost(memory_);
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
    at_ += (bytes + kMemoryAlignment - 1) / kMemoryAlignment * kMemoryAlignment;
    return to;
  }

 private:
  static constexpr std::size_t kHalf = std::size_t{1} << 20;
  std::byte* memory_ = nullptr;
  std::size_t half_ = 0, at_ = 0;
  cudaEvent_t passed_[2] = {};
};

/// What `waiting` is given from now on comes after all that `other` was given before; `event` is theirs
/// alone.
void let_wait(cudaStream_t waiting, cudaStream_t other, cudaEvent_t event) {
  SLLMR_CUDA_CHECK(cudaEventRecord(event, other));
  SLLMR_CUDA_CHECK(cudaStreamWaitEvent(waiting, event));
}
#endif

}  // namespace

struct Context::Cuda {
#if !SLLMR_WITH_CUDA
  void *stream = nullptr, *side = nullptr, *blas = nullptr;
#else
  cudaStream_t stream = nullptr, side = nullptr;
  cudaEvent_t forked = nullptr, joined = nullptr;
  cublasHandle_t blas = nullptr;
  bool borrowed = false;  // the stream, which is all there is then
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
  std::vector<DeviceInfo> devices{{Device::cpu, cpu_name(), host_memory_gib(), available_cores()}};
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

Context::Context(Device device, int threads, Communicator* ranks)
    : device_(device),
      threads_(threads > 0 ? threads : available_cores()),
      units_(threads_),
      ranks_(ranks != nullptr ? ranks : &alone()),
      cuda_(std::make_unique<Cuda>()),
      pool_(std::make_unique<MemoryPool>(device)) {
  // For regions of the host that have no context.
  if (threads > 0 && !in_region()) set_default_threads(threads);
#if SLLMR_WITH_CUDA
  if (device_ == Device::cuda) {
    int id = 0, count = 1;
    if (ranks_->size() > 1) {  // those of one machine take its GPUs in turn
      SLLMR_CUDA_CHECK(cudaGetDeviceCount(&count));
      SLLMR_CUDA_CHECK(cudaSetDevice(ranks_->local_rank() % count));
    }
    SLLMR_CUDA_CHECK(cudaGetDevice(&id));
    SLLMR_CUDA_CHECK(cudaDeviceGetAttribute(&units_, cudaDevAttrMultiProcessorCount, id));
    SLLMR_CUDA_CHECK(cudaStreamCreateWithFlags(&cuda_->stream, cudaStreamNonBlocking));
    SLLMR_CUDA_CHECK(cudaStreamCreateWithFlags(&cuda_->side, cudaStreamNonBlocking));
    SLLMR_CUDA_CHECK(cudaEventCreateWithFlags(&cuda_->forked, cudaEventDisableTiming));
    SLLMR_CUDA_CHECK(cudaEventCreateWithFlags(&cuda_->joined, cudaEventDisableTiming));
    SLLMR_CUDA_CHECK(cublas().create(&cuda_->blas));
    SLLMR_CUDA_CHECK(cublas().set_stream(cuda_->blas, cuda_->stream));
    cuda_->staging.allocate();
  }
#else
  require(device_ == Device::cpu, "this program was built without CUDA: use device=cpu");
#endif
}

Context::Context(const GuestOf& owner)
    : device_(owner.device),
      threads_(owner.threads),
      units_(owner.threads),
      ranks_(&alone()),
      cuda_(std::make_unique<Cuda>()),
      pool_(std::make_unique<MemoryPool>(owner.device)) {
#if SLLMR_WITH_CUDA
  cuda_->borrowed = true;
  if (device_ == Device::cuda) {
    int id = 0;
    SLLMR_CUDA_CHECK(cudaGetDevice(&id));
    SLLMR_CUDA_CHECK(cudaDeviceGetAttribute(&units_, cudaDevAttrMultiProcessorCount, id));
    cuda_->stream = static_cast<cudaStream_t>(owner.stream);
  }
#else
  require(device_ == Device::cpu, "this program was built without CUDA: use device=cpu");
#endif
}

Context::~Context() {
  link_.reset();
  pool_.reset();
#if SLLMR_WITH_CUDA
  if (device_ == Device::cuda && !cuda_->borrowed) {
    cublas().destroy(cuda_->blas);
    cudaEventDestroy(cuda_->forked);
    cudaEventDestroy(cuda_->joined);
    cudaStreamDestroy(cuda_->side);
    cudaStreamDestroy(cuda_->stream);
  }
#endif
}

void Context::link(std::unique_ptr<DeviceLink> link) {
  link_ = std::move(link);
}

void* Context::stream() const {
  return cuda_->stream;
}

void* Context::side_stream() const {
  return cuda_->side;
}

void Context::fork() const {
#if SLLMR_WITH_CUDA
  if (device_ == Device::cuda) let_wait(cuda_->side, cuda_->stream, cuda_->forked);
#endif
}

void Context::join() const {
#if SLLMR_WITH_CUDA
  if (device_ == Device::cuda) let_wait(cuda_->stream, cuda_->side, cuda_->joined);
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

}  // namespace sllmr
