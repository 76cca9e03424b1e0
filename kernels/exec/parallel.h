// Work that the CPU's threads share. The only place that opens parallel regions: an exception that left one
// would end the program, so here it is carried out.
#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>

namespace sllmr {

/// Calls body(thread) on each of up to `threads` threads, thread = 0, 1, ...; on the calling one alone inside
/// of another region. What a body throws ends that thread's work alone; the first of them is thrown here when
/// all are done.
template <class Body>
void on_threads(int threads, const Body& body) {
  std::exception_ptr error;
  std::atomic_flag failed;
#pragma omp parallel num_threads(threads)
  {
    try {
      body(omp_get_thread_num());
    } catch (...) {
      if (!failed.test_and_set()) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

/// Calls body(thread, first, last) where the items first <= k < last are the thread's own part of 0 .. items
/// - 1: one stretch a thread, equal but for one item, none empty. Throws what a body throws.
template <class Body>
void on_shares(int threads, std::int64_t items, const Body& body) {
  on_threads(threads, [&](int thread) {
    const std::int64_t team = omp_get_num_threads(), share = items / team, rest = items % team;
    const std::int64_t first = thread * share + std::min<std::int64_t>(thread, rest),
                       last = first + share + (thread < rest ? 1 : 0);
    if (first < last) body(thread, first, last);
  });
}

/// Items 0 .. items - 1, which threads take in turn as they get to them: for items that take long.
class SharedItems {
 public:
  explicit SharedItems(std::int64_t items) : items_(items) {}
  /// Calls body(k) for each item that nobody else takes. After a body has thrown nobody gets another one.
  template <class Body>
  void take(const Body& body) {
    try {
      for (std::int64_t k = next_++; k < items_; k = next_++) body(k);
    } catch (...) {
      next_ = items_;
      throw;
    }
  }

 private:
  std::int64_t items_;
  std::atomic<std::int64_t> next_ = 0;
};

}  // namespace sllmr
