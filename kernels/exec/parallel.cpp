#include "kernels/exec/parallel.h"

#include <sched.h>

#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "kernels/exec/not_copied.h"

namespace sllmr {
namespace {

// Turns of a waiting loop before it sleeps, some 40 us: regions of a training step follow each other faster.
// A thread that waits for longer leaves its core to other processes.
constexpr int kSpins = 1000;
constexpr int kMostThreads = 1024;

std::atomic<int> chosen_threads = 0;
thread_local bool inside = false;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/// Waits until `number` is no longer `known`, and returns it.
std::uint32_t wait_for_other(const std::atomic<std::uint32_t>& number, std::uint32_t known) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (const std::uint32_t now = number.load(std::memory_order_acquire); now != known) return now;
    pause();
  }
  number.wait(known, std::memory_order_acquire);
  return number.load(std::memory_order_acquire);
}

/// Marks the calling thread as one that runs a part.
class Inside : NotCopied {
 public:
  Inside() { inside = true; }
  ~Inside() { inside = outside_; }

 private:
  bool outside_ = inside;
};

/// Threads that help whoever opens a region. One region at a time; a second caller does its parts alone.
class Pool : NotCopied {
 public:
  /// False: another thread's region is open.
  bool run(int parts, void (*part)(const void*, int), const void* body) {
    const std::unique_lock only(open_, std::try_to_lock);
    if (!only) return false;
    while (helpers_ < std::min(parts, kMostThreads) - 1 && add_helper()) {
    }
    part_ = part;
    body_ = body;
    failed_.clear(std::memory_order_relaxed);
    left_.store(static_cast<std::uint32_t>(parts), std::memory_order_relaxed);
    const std::uint32_t region = region_.load(std::memory_order_relaxed) + 1;
    claims_.store(Claims{region, static_cast<std::uint16_t>(parts), 1}.word(), std::memory_order_release);
    region_.store(region);
    region_.notify_all();

    do_part(0);
    take_parts(region);
    for (std::uint32_t left = left_.load(std::memory_order_acquire); left != 0;)
      left = wait_for_other(left_, left);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    return true;
  }

 private:
  /// Which part of which region is next, in one word: who has begun an old region cannot take of a new one.
  struct Claims {
    std::uint32_t region;
    std::uint16_t parts, next;

    std::uint64_t word() const {
      return static_cast<std::uint64_t>(region) << 32 | static_cast<std::uint32_t>(parts) << 16 | next;
    }
    static Claims of(std::uint64_t word) {
      return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint16_t>(word >> 16),
              static_cast<std::uint16_t>(word)};
    }
  };

  /// Helpers run until the process ends. False: the system has no thread left; the caller does without.
  bool add_helper() {
    try {
      std::thread([this, known = region_.load()]() mutable {
        for (;;) {
          known = wait_for_other(region_, known);
          take_parts(known);
        }
      }).detach();
    } catch (const std::system_error&) {
      return false;
    }
    ++helpers_;
    return true;
  }

  void take_parts(std::uint32_t region) {
    std::uint64_t word = claims_.load(std::memory_order_acquire);
    for (;;) {
      Claims claims = Claims::of(word);
      if (claims.region != region || claims.next >= claims.parts) return;
      const int part = claims.next++;
      if (!claims_.compare_exchange_weak(word, claims.word(), std::memory_order_acq_rel)) continue;
      do_part(part);
      word = claims_.load(std::memory_order_acquire);
    }
  }

  void do_part(int part) {
    const Inside mark;
    try {
      part_(body_, part);
    } catch (...) {
      if (!failed_.test_and_set()) error_ = std::current_exception();
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_one();
  }

  std::mutex open_;
  int helpers_ = 0;
  // Of the open region.
  void (*part_)(const void*, int) = nullptr;
  const void* body_ = nullptr;
  std::exception_ptr error_;
  std::atomic_flag failed_;

  alignas(64) std::atomic<std::uint64_t> claims_ = 0;
  alignas(64) std::atomic<std::uint32_t> region_ = 0;
  alignas(64) std::atomic<std::uint32_t> left_ = 0;
};

/// All parts on this thread.
void run_alone(int parts, void (*part)(const void*, int), const void* body) {
  const Inside mark;
  std::exception_ptr error;
  for (int k = 0; k < parts; ++k) {
    try {
      part(body, k);
    } catch (...) {
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace

int available_cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return std::max(1, CPU_COUNT(&cores));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int default_threads() {
  const int chosen = chosen_threads;
  return chosen > 0 ? chosen : available_cores();
}

void set_default_threads(int threads) {
  chosen_threads = threads;
}

bool in_region() {
  return inside;
}

void detail::run_parts(int parts, void (*part)(const void* body, int k), const void* body) {
  static Pool& pool = *new Pool;     // never destroyed: helpers outlive main()
  constexpr int kMostParts = 65535;  // that Claims can count
  const bool shared = parts > 1 && parts <= kMostParts && pool.run(parts, part, body);
  if (!shared) run_alone(parts, part, body);
}

}  // namespace sllmr
