// Ctrl-C and SIGTERM as a request to stop at the next safe point.
#pragma once

#include <csignal>

#include "kernels/exec/communicator.h"
#include "kernels/exec/not_copied.h"

namespace sllmr {

/// While it lives, the first SIGINT or SIGTERM sets interrupted(); the same signal again kills at once. Where
/// nobody has asked for interrupted() within most of a second, the process exits with 130: work that takes
/// longer than that from one safe point to the next is lost, but no file is torn, as each gets its name when
/// it is whole. The destructor restores the handlers of before. One at a time.
class InterruptGuard : NotCopied {
 public:
  InterruptGuard();
  ~InterruptGuard();

 private:
  bool takes_signals_;
  struct sigaction old_int_, old_term_, old_alarm_;
};

/// Thrown when a request to stop ended work; the program exits with 130.
class Interrupted {};

/// While it lives, signals are somebody else's, as in a library of a program that has its own handlers: an
/// InterruptGuard leaves them alone, and stop() is the request to stop. One at a time.
class StopByCall : NotCopied {
 public:
  StopByCall();
  ~StopByCall();
  /// From any thread.
  void stop();
};

/// Was the process asked to stop since the last InterruptGuard, or StopByCall, began? Cheap enough for every
/// step. Whoever is told so is to stop soon, saving what is worth it: the process then ends by itself.
bool interrupted();

/// Throws Interrupted if it was.
inline void throw_if_interrupted() {
  if (interrupted()) throw Interrupted();
}

/// Calls work(), which no rank waits in for another. Throws Interrupted on all ranks where it did on one.
template <class Work>
void on_all_ranks(Communicator& ranks, const Work& work) {
  if (ranks.size() == 1) return work();
  bool whole = true;
  try {
    work();
  } catch (const Interrupted&) {
    whole = false;
  }
  if (any_of(ranks, !whole)) throw Interrupted();
}

/// While it lives, a request to stop waits for its end, however long that takes: for writing a file that must
/// not be lost.
class InterruptDelay : NotCopied {
 public:
  InterruptDelay();
  ~InterruptDelay();
};

}  // namespace sllmr
