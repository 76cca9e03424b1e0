#include "bench/load.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "host/base/stopwatch.h"

namespace sllmr::bench {
namespace {

/// Seconds that all cores have been busy since the machine's start.
std::optional<double> busy_seconds() {
  std::ifstream stat("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0, stolen = 0;
  if (!(stat >> cpu >> user >> nice >> system >> idle >> waiting >> interrupts >> soft >> stolen)) return {};
  return (user + nice + system + interrupts + soft + stolen) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

double foreign_cores(double seconds) {
  const Stopwatch watch;
  const std::optional<double> before = busy_seconds();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const std::optional<double> after = busy_seconds();
  return before && after ? std::max(0.0, *after - *before) / watch.seconds() : 0.0;
}

}  // namespace sllmr::bench
