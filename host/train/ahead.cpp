#include "host/train/ahead.h"

#include <atomic>
#include <exception>
#include <semaphore>
#include <thread>

namespace sllmr {

void run_ahead(std::int64_t count, std::int64_t slots,
               const std::function<void(std::int64_t k, std::int64_t slot)>& make,
               const std::function<bool(std::int64_t k, std::int64_t slot)>& use) {
  if (slots <= 1) {
    for (std::int64_t k = 0; k < count; ++k) {
      make(k, 0);
      if (!use(k, 0)) return;
    }
    return;
  }
  std::counting_semaphore<> made(0), vacant(slots);
  std::exception_ptr error;
  std::atomic<std::int64_t> failed{count};  // which make has thrown `error`
  std::jthread maker([&](const std::stop_token& stop) {
    for (std::int64_t k = 0; k < count; ++k) {
      vacant.acquire();
      if (stop.stop_requested()) return;
      try {
        make(k, k % slots);
      } catch (...) {
        error = std::current_exception();
        failed = k;
      }
      made.release();
      if (failed == k) return;
    }
  });
  const auto stop_maker = [&] {
    maker.request_stop();
    vacant.release();  // it may be waiting
  };
  try {
    for (std::int64_t k = 0; k < count; ++k) {
      made.acquire();
      if (failed == k) std::rethrow_exception(error);
      if (!use(k, k % slots)) return stop_maker();
      vacant.release();
    }
  } catch (...) {
    stop_maker();
    throw;
  }
}

}  // namespace sllmr
