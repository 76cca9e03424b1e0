// Ctrl-C and SIGTERM as a request to stop at the next safe point.
#pragma once

#include <csignal>

namespace sllmr {

/// While it lives, the first SIGINT or SIGTERM sets interrupted(); the same signal again kills at once. The
/// destructor restores the handlers of before. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction old_int_, old_term_;
};

/// Thrown when a request to stop ended work that is saved; the program exits with 130.
class Interrupted {};

/// Was the process asked to stop since the last InterruptGuard began? Cheap enough for every step.
bool interrupted();

}  // namespace sllmr
