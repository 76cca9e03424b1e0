#include "bench/load.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

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

/// The first two that this process may run on, or fewer.
std::vector<int> two_cores() {
  cpu_set_t allowed;
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE && cores.size() < 2; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  return cores;
}

void move_to(int core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  sched_setaffinity(0, sizeof one, &one);
}

}  // namespace

double foreign_cores(double seconds) {
  const Stopwatch watch;
  const std::optional<double> before = busy_seconds();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const std::optional<double> after = busy_seconds();
  return before && after ? std::max(0.0, *after - *before) / watch.seconds() : 0.0;
}

double core_round_trip() {
  constexpr int kTrips = 2000, kSamples = 9;
  const std::vector<int> cores = two_cores();
  if (cores.size() < 2) return 0;
  alignas(64) std::atomic<int> ball = 0;
  // Each throws it on to the other, who waits for it.
  const auto play = [&ball](int core, int begin) {
    move_to(core);
    std::vector<double> seconds;
    int next = begin;
    for (int sample = 0; sample < kSamples; ++sample) {
      const Stopwatch watch;
      for (int trip = 0; trip < kTrips; ++trip, next += 2) {
        while (ball.load(std::memory_order_acquire) != next) {
        }
        ball.store(next + 1, std::memory_order_release);
      }
      seconds.push_back(watch.seconds());
    }
    std::ranges::nth_element(seconds, seconds.begin() + kSamples / 2);
    return seconds[kSamples / 2];
  };
  double seconds = 0;
  std::thread there([&] { play(cores[1], 1); });
  std::thread here([&] { seconds = play(cores[0], 0); });
  there.join();
  here.join();
  return 1e9 * seconds / kTrips;
}

}  // namespace sllmr::bench
