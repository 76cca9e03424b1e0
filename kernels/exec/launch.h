// Running a kernel body on either machine. A body is written once, for a *group of lanes* that share one item
// of work:
//
//   struct Body { template <class Lanes> SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const; };
//
// `launch` gives each item one group: a warp of 32 lanes on CUDA, one lane on the CPU (the loop over
// dimensions then vectorises). `launch_each` gives each item a single lane on both. A .cu file is compiled
// twice, by the C++ compiler for the CPU and by nvcc for CUDA; OnThisDevice names the one at hand:
//
//   struct Scale { Matrix<Real> x; Real by; };                                                     // header
//   void run_here(const Context& context, const Scale<Real>& args) { launch(context, "scale", ...); }  // .cu
//   SLLMR_KERNELS(Scale)
//
// A kernel that is one launch of its arguments is written as what it does for an item:
//
//   void run_item(Lanes lanes, const Scale<Real>& args, std::int64_t row) { ... }
//   SLLMR_ITEM_KERNELS(Scale, "scale", args.x.rows)
//
// `launch_tallied` gives each group accumulators of its own, float[Columns], which end up added to one of
// `slots` arrays of as many: on the CPU that of the group's thread, on CUDA by way of the multiprocessor's
// shared memory, so that groups never meet in one.
//
//   template <class Lanes> SLLMR_HD void operator()(Lanes lanes, std::int64_t item, float* tally) const;
//
// `launch_batches` is for bodies that gain from several items at hand, where one's memory and arithmetic can
// hide another's latency. A batch body takes `count` items from `first` on:
//
//   struct Body { template <class Lanes> void operator()(Lanes, std::int64_t first, std::int64_t count)
//   const; };
#pragma once

#include <cstdint>
#include <string>

#include "kernels/exec/loops.h"
#include "kernels/exec/not_copied.h"
#include "kernels/exec/run.h"
#include "kernels/exec/types.h"

#if defined(__CUDACC__)
#include <nvtx3/nvToolsExt.h>

#include <algorithm>

#include "kernels/exec/cuda_check.h"
#else
#include "kernels/exec/parallel.h"
#endif

/// Makes `run_here(const Context&, const Args&)`, defined above it in a .cu, what run() does with these
/// arguments on the device that the .cu is being compiled for.
#define SLLMR_KERNEL(Args)                                                         \
  template <>                                                                      \
  void Kernel<OnThisDevice, Args>::run(const Context& context, const Args& args) { \
    run_here(context, args);                                                       \
  }
/// The same of Args<float> and Args<double>.
#define SLLMR_KERNELS(Args) SLLMR_KERNEL(Args<float>) SLLMR_KERNEL(Args<double>)

/// Makes `run_item(Lanes, const Args<Real>&, std::int64_t item)`, defined above it in a .cu for float and
/// double, a kernel: run() of these arguments calls it for 0 .. items - 1 with a group of lanes for each, or,
/// of SLLMR_EACH_ITEM_KERNELS, one lane. `items` is an expression of `args`.
#define SLLMR_ITEM_KERNELS(Args, name, items) SLLMR_LAUNCHED_KERNELS(launch, Args, name, items)
#define SLLMR_EACH_ITEM_KERNELS(Args, name, items) SLLMR_LAUNCHED_KERNELS(launch_each, Args, name, items)
#define SLLMR_LAUNCHED_KERNELS(launch, Args, name, items)            \
  namespace {                                                        \
  template <class Real>                                              \
  struct Args##Items {                                               \
    Args<Real> args;                                                 \
    template <class Lanes>                                           \
    SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const { \
      run_item(lanes, args, item);                                   \
    }                                                                \
  };                                                                 \
  template <class Real>                                              \
  void run_here(const Context& context, const Args<Real>& args) {    \
    launch(context, name, items, Args##Items<Real>{args});           \
  }                                                                  \
  }                                                                  \
  SLLMR_KERNELS(Args)

namespace sllmr {

/// Where a launch runs: in the context's own stream, or beside it, between Context::fork() and join(). The
/// CPU has one.
enum class Where { own_stream, beside };

#if defined(__CUDACC__)

// Keeps the two compilers' functions apart in one program.
inline namespace cuda_backend {

using OnThisDevice = OnCuda;

/// Marks a stretch of host code on the profiler's time line.
class NvtxRange : NotCopied {
 public:
  explicit NvtxRange(const char* name) { nvtxRangePushA(name); }
  ~NvtxRange() { nvtxRangePop(); }
};

/// `Size` neighbouring lanes of a warp.
template <int Size>
struct CudaLanes {
  static constexpr int size = Size;
  static constexpr bool prefetches = false;

  __device__ int lane() const { return static_cast<int>(threadIdx.x) % Size; }
  /// The group's lanes among those of the warp: other groups may be elsewhere in the code.
  __device__ unsigned mask() const {
    return Size == 32 ? 0xFFFFFFFFU : ((1U << (Size % 32)) - 1) << (threadIdx.x % 32 / Size * Size);
  }
  template <class Real>
  __device__ Real sum(Real x) const {
#pragma unroll
    for (int step = Size / 2; step > 0; step /= 2) x += __shfl_xor_sync(mask(), x, step, Size);
    return x;
  }
  /// What lane `lane` of the group has.
  template <class Real>
  __device__ Real broadcast(Real x, int lane) const {
    return __shfl_sync(mask(), x, lane, Size);
  }
  /// Bit k: does lane k say so? Of a whole warp.
  __device__ unsigned ballot(bool says) const {
    static_assert(Size == 32);
    return __ballot_sync(mask(), says);
  }
  static __device__ int first_lane(unsigned bits) {
    return __ffs(static_cast<int>(bits)) - 1;
  }
  /// Makes what lanes have read so far safe to overwrite by one of them.
  __device__ void sync() const {
    __syncwarp(mask());
  }
  template <class Real>
  __device__ void add(Real* to, Real x) const {
    atomicAdd(to, x);
  }
  /// The same of four neighbours, 16-byte aligned.
  __device__ void add_four(float* to, const float (&x)[4]) const {
#if __CUDA_ARCH__ >= 900
    atomicAdd(reinterpret_cast<float4*>(to), make_float4(x[0], x[1], x[2], x[3]));
#else
    for (int k = 0; k < 4; ++k) atomicAdd(to + k, x[k]);
#endif
  }
};

inline constexpr int kBlockThreads = 256;

template <int LaneCount, class Body>
__global__ void __launch_bounds__(kBlockThreads) run_body(Body body, std::int64_t items) {
  const std::int64_t groups = static_cast<std::int64_t>(gridDim.x) * (kBlockThreads / LaneCount);
  const std::int64_t first =
      static_cast<std::int64_t>(blockIdx.x) * (kBlockThreads / LaneCount) + threadIdx.x / LaneCount;
  for (std::int64_t item = first; item < items; item += groups) body(CudaLanes<LaneCount>{}, item);
}

template <int LaneCount, class Body>
void launch_groups(const Context& context, const char* name, std::int64_t items, const Body& body) {
  if (items <= 0) return;
  const NvtxRange range(name);
  constexpr std::int64_t kGroupsPerBlock = kBlockThreads / LaneCount;
  constexpr std::int64_t kMaxBlocks = 1 << 20;
  const std::int64_t blocks = std::min((items + kGroupsPerBlock - 1) / kGroupsPerBlock, kMaxBlocks);
  run_body<LaneCount>
      <<<static_cast<unsigned>(blocks), kBlockThreads, 0, static_cast<cudaStream_t>(context.stream())>>>(
          body, items);
  SLLMR_CUDA_CHECK(cudaGetLastError());
}

template <int LaneCount, int Columns, class Body>
__global__ void __launch_bounds__(kBlockThreads, Body::blocks_at_once)
    run_tallied(Body body, std::int64_t items, float* slots, int n_slots) {
  constexpr int kGroups = kBlockThreads / LaneCount;
  __shared__ float tallies[kGroups][Columns];
  for (int k = threadIdx.x; k < kGroups * Columns; k += kBlockThreads) tallies[k / Columns][k % Columns] = 0;
  __syncthreads();
  const int group = static_cast<int>(threadIdx.x) / LaneCount;
  const std::int64_t groups = static_cast<std::int64_t>(gridDim.x) * kGroups;
  for (std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * kGroups + group; item < items;
       item += groups) {
    body(CudaLanes<LaneCount>{}, item, tallies[group]);
  }
  __syncthreads();
  float* slot = slots + static_cast<std::int64_t>(blockIdx.x % static_cast<unsigned>(n_slots)) * Columns;
  for (int column = threadIdx.x; column < Columns; column += kBlockThreads) {
    float sum = 0;
    for (int k = 0; k < kGroups; ++k) sum += tallies[k][column];
    if (sum != 0.0F) atomicAdd(slot + column, sum);
  }
}

/// As many blocks as the device can run at once, which take items in turn. Body::blocks_at_once: of how many
/// a multiprocessor shall have the registers.
template <int LaneCount, int Columns, class Body>
void launch_tallied(const Context& context, const char* name, std::int64_t items, float* slots, int n_slots,
                    const Body& body, Where where) {
  if (items <= 0) return;
  const NvtxRange range(name);
  constexpr std::int64_t kGroups = kBlockThreads / LaneCount, kMostBlocks = 2048 / kBlockThreads;
  const std::int64_t blocks =
      std::min<std::int64_t>((items + kGroups - 1) / kGroups, kMostBlocks * context.units());
  void* stream = where == Where::beside ? context.side_stream() : context.stream();
  run_tallied<LaneCount, Columns>
      <<<static_cast<unsigned>(blocks), kBlockThreads, 0, static_cast<cudaStream_t>(stream)>>>(
          body, items, slots, n_slots);
  SLLMR_CUDA_CHECK(cudaGetLastError());
}

template <class Body>
void launch(const Context& context, const char* name, std::int64_t items, const Body& body) {
  launch_groups<32>(context, name, items, body);
}

template <class Body>
void launch_each(const Context& context, const char* name, std::int64_t items, const Body& body) {
  launch_groups<1>(context, name, items, body);
}

/// A batch body as one that takes an item at a time.
template <class Body>
struct SingleItems {
  Body body;
  template <class Lanes>
  __device__ void operator()(Lanes lanes, std::int64_t item) const {
    body(lanes, item, std::int64_t{1});
  }
};

/// Each item a batch of its own, with `LaneCount` lanes: other warps hide the latency here.
template <int LaneCount, class Body>
void launch_batches(const Context& context, const char* name, std::int64_t items, std::int64_t /*most*/,
                    const Body& body) {
  launch_groups<LaneCount>(context, name, items, SingleItems<Body>{body});
}

}  // namespace cuda_backend

#else

inline namespace cpu_backend {

using OnThisDevice = OnCpu;

struct CpuLanes {
  static constexpr int size = 1;
  static constexpr bool prefetches = true;  // no other groups hide the memory's latency
  int thread = 0;

  static constexpr int lane() { return 0; }
  template <class Real>
  static Real sum(Real x) {
    return x;
  }
  static void sync() {}
  /// Asynchronous, as everywhere in the fused step: two threads that meet in one element may lose an update.
  template <class Real>
  static void add(Real* to, Real x) {
    *to += x;
  }
  static void prefetch(const void* address) { prefetch_line(address); }
  /// Into the second-level cache, which has more misses under way at once than the first.
  static void prefetch_far(const void* address) {
    __builtin_prefetch(address, 0, 1);
    asm volatile("");  // as in prefetch_line()
  }
  /// Takes the line away from other cores at once, rather than when it is written.
  static void prefetch_to_write(const void* address) {
#if defined(__x86_64__)
    // GCC's builtin needs -mprfchw for it. Processors without the instruction take it for a no-op.
    asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
    __builtin_prefetch(address, 1);
    asm volatile("");  // as in prefetch_line()
#endif
  }
};

template <class Body>
void launch(const Context& context, const char* /*name*/, std::int64_t items, const Body& body) {
  // Inside of for_tiles a region of its own would be one thread, at the price of starting it.
  if (items == 1 || in_region()) {
    for (std::int64_t item = 0; item < items; ++item) body(CpuLanes{}, item);
    return;
  }
  on_shares(context.threads(), items, [&body](int thread, std::int64_t first, std::int64_t last) {
    const CpuLanes lanes{thread};
    for (std::int64_t item = first; item < last; ++item) body(lanes, item);
  });
}

template <class Body>
void launch_each(const Context& context, const char* name, std::int64_t items, const Body& body) {
  launch(context, name, items, body);
}

template <int /*LaneCount*/, int Columns, class Body>
void launch_tallied(const Context& context, const char* name, std::int64_t items, float* slots, int n_slots,
                    const Body& body, Where) {
  require(n_slots >= context.threads(), std::string(name) + ": fewer accumulator slots than threads");
  launch(context, name, items, [&](CpuLanes lanes, std::int64_t item) {
    body(lanes, item, slots + static_cast<std::int64_t>(lanes.thread) * Columns);
  });
}

/// Batches of `most` items, the last one smaller.
template <int /*LaneCount*/, class Body>
void launch_batches(const Context& context, const char* name, std::int64_t items, std::int64_t most,
                    const Body& body) {
  launch(context, name, (items + most - 1) / most, [&](CpuLanes lanes, std::int64_t batch) {
    const std::int64_t first = batch * most;
    body(lanes, first, items - first < most ? items - first : most);
  });
}

}  // namespace cpu_backend

#endif

}  // namespace sllmr
