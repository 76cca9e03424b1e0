#include "kernels/exec/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <string_view>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

std::atomic<bool> stop_requested{false}, heard{false}, delayed{false}, by_call{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not lock");

timer_t deadline;

void start_deadline() {
  itimerspec in_time{};
  in_time.it_value.tv_nsec = 700'000'000;
  ::timer_settime(deadline, 0, &in_time, nullptr);
}

void request_stop(int) {
  stop_requested.store(true, std::memory_order_relaxed);
  start_deadline();
}

void stop_unheard(int) {
  if (heard) return;
  if (delayed) return start_deadline();
  constexpr std::string_view kSaid =
      "\nstopped at once: what was under way is lost, what was written is whole\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kSaid.data(), kSaid.size());
  constexpr int kInterrupted = 130;
  ::_exit(kInterrupted);
}

}  // namespace

InterruptGuard::InterruptGuard() : takes_signals_(!by_call) {
  if (!takes_signals_) return;
  stop_requested = heard = false;
  struct sigaction action {};
  action.sa_handler = stop_unheard;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &action, &old_alarm_);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  require(::timer_create(CLOCK_MONOTONIC, &event, &deadline) == 0, "the system has no timer left");
  action.sa_handler = request_stop;
  // RESETHAND: the second signal finds the default action. RESTART: no write is cut short by the first.
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
}

InterruptGuard::~InterruptGuard() {
  if (!takes_signals_) return;
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
  ::timer_delete(deadline);
  ::sigaction(SIGALRM, &old_alarm_, nullptr);
}

StopByCall::StopByCall() {
  stop_requested = heard = false;
  by_call = true;
}

StopByCall::~StopByCall() {
  by_call = stop_requested = false;
}

void StopByCall::stop() {
  stop_requested.store(true, std::memory_order_relaxed);
}

bool interrupted() {
  if (!stop_requested.load(std::memory_order_relaxed)) return false;
  heard = true;
  return true;
}

InterruptDelay::InterruptDelay() {
  delayed = true;
}

InterruptDelay::~InterruptDelay() {
  delayed = false;
}

}  // namespace sllmr
