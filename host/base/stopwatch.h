// Seconds of work.
#pragma once

#include <chrono>

namespace sllmr {

/// Runs from its start to its end.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace sllmr
