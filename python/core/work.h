// Long work, called from Python.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>

namespace sllmr::python {

/// Calls work() on a thread of its own, while the caller's, which then holds the interpreter's lock only to
/// call `listener`, looks for signals: Ctrl-C, or an exception of the listener, is a request to stop, and is
/// thrown on when the work has stopped. What work() throws is thrown here.
///
/// `listener(kind, content)` is called with "note" and a line of text, "event" and a JSON object as text,
/// and, where `takes_progress`, "progress" and a tuple (what, done, total, unit).
///
/// work() is called without the interpreter's lock. Throws Error where other work is under way: one at a
/// time.
void run_work(const nanobind::object& listener, bool takes_progress, const std::function<void()>& work);

}  // namespace sllmr::python
