#include "bench/load.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
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

/// Does `other` run on the same core as processor `cpu`? Where the system does not tell: no.
bool are_siblings(int cpu, int other) {
  std::ifstream list(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
  for (std::string part; std::getline(list, part, ',');) {  // "0,64" or "0-1"
    int first = 0, last = 0;
    const int found = std::sscanf(part.c_str(), "%d-%d", &first, &last);
    if (found >= 1 && other >= first && other <= (found == 2 ? last : first)) return true;
  }
  return false;
}

/// The first processors of two cores that this process may run on, or fewer.
std::vector<int> two_cores() {
  cpu_set_t allowed;
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return cores;
  for (int cpu = 0; cpu < CPU_SETSIZE && cores.size() < 2; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && (cores.empty() || !are_siblings(cores[0], cpu))) cores.push_back(cpu);
  }
  return cores;
}

bool move_to(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof one, &one) == 0;
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
  std::atomic<bool> moved = true;
  const auto play = [&](int cpu, int begin) {
    if (!move_to(cpu)) moved = false;
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
  return moved ? 1e9 * seconds / kTrips : 0.0;
}

}  // namespace sllmr::bench
