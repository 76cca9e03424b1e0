// Long work, called from Python.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>

namespace sllmr::python {

/// The thread that has called from Python.
class Caller {
 public:
  virtual ~Caller() = default;
  /// Calls python() there, with the interpreter's lock, and waits for its end. Throws Interrupted where the
  /// work is to stop, as after what python() has thrown out of Python; what else it throws is thrown here.
  virtual void call(const std::function<void()>& python) = 0;
};

/// Calls work() on a thread of its own, without the interpreter's lock, while the caller's looks for signals
/// and calls what has to be called: Ctrl-C, or an exception of what it calls, is a request to stop, and is
/// thrown on when the work has stopped. What work() throws is thrown here.
///
/// `listener(kind, content)` is called with "note" and a line of text, "event" and a JSON object as text,
/// and, where `takes_progress`, "progress" and a tuple (what, done, total, unit).
///
/// Throws Error where other work is under way: one at a time.
void run_work(const nanobind::object& listener, bool takes_progress,
              const std::function<void(Caller& caller)>& work);

/// Asks whatever work is under way to stop, and waits for its end, some seconds at most: for the end of the
/// interpreter.
void stop_work();

}  // namespace sllmr::python
