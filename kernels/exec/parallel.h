// Work that the CPU's threads share. The only place that starts such threads: an exception that left one
// would end the program, so here it is carried out.
//
// A region's parts are taken, not dealt out: a thread that another process keeps from running is not waited
// for unless it has begun a part, and the caller takes what nobody else takes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace sllmr {

/// Cores that this process may run on.
int available_cores();

/// How many threads share work that has no Context: what set_default_threads() was given last, else all
/// cores.
int default_threads();
/// `threads` >= 1.
void set_default_threads(int threads);

/// Does the calling thread run a part of a region? Regions that it opens are its own alone.
bool in_region();

namespace detail {

/// Calls part(body, k) once for each k < parts; 0 on the calling thread, the others there or on others.
void run_parts(int parts, void (*part)(const void* body, int k), const void* body);

}  // namespace detail

/// Calls body(part), part = 0, 1, ..., threads - 1, each once, on up to as many threads at the same time;
/// inside of another region body(0) alone. Bodies must not wait for each other: one thread may run several,
/// one after the other. What a body throws ends that part alone; the first of them is thrown here when all
/// are done.
template <class Body>
void on_threads(int threads, const Body& body) {
  detail::run_parts(
      in_region() ? 1 : std::max(1, threads),
      [](const void* of, int k) { (*static_cast<const Body*>(of))(k); }, &body);
}

/// Calls body(part, first, last) where the items first <= k < last are the part's own of 0 .. items - 1: one
/// stretch each, equal but for one item, none empty; parts are numbered as in on_threads(). Throws what a
/// body throws.
template <class Body>
void on_shares(int threads, std::int64_t items, const Body& body) {
  const std::int64_t parts =
                         in_region() ? 1 : std::max<std::int64_t>(1, std::min<std::int64_t>(threads, items)),
                     share = items / parts, rest = items % parts;
  on_threads(static_cast<int>(parts), [&](int part) {
    const std::int64_t first = part * share + std::min<std::int64_t>(part, rest),
                       last = first + share + (part < rest ? 1 : 0);
    if (first < last) body(part, first, last);
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
