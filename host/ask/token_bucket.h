// A limit of rate.
#pragma once

#include <algorithm>
#include <chrono>

namespace sllmr {

/// Lets a rate through on average, with bursts of a second's worth. May go into debt for one large item.
class TokenBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  TokenBucket(double per_minute, TimePoint now)
      : per_second_(per_minute / 60), burst_(std::max(per_second_, 1.0)), level_(burst_), last_(now) {}

  /// Seconds until the next item may pass.
  double wait(TimePoint now) {
    if (per_second_ <= 0) return 0;
    level_ = std::min(burst_, level_ + per_second_ * std::chrono::duration<double>(now - last_).count());
    last_ = now;
    return level_ > 0 ? 0 : (1e-3 - level_) / per_second_;
  }
  /// What passes now.
  void take(double amount) {
    if (per_second_ > 0) level_ -= amount;
  }

 private:
  double per_second_, burst_, level_;
  TimePoint last_;
};

}  // namespace sllmr
