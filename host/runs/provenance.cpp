#include "host/runs/provenance.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#if __has_include("host/runs/commit.h")
#include "host/runs/commit.h"  // written by cmake/Provenance.cmake
#else
#define SLLMR_COMMIT "unknown"
#define SLLMR_VERSION "0"
#endif

namespace sllmr {
namespace {

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != line.npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

nlohmann::json provenance(const std::string& gpu, std::uint64_t data_hash) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return {{"machine", {{"cpu", cpu_model()}, {"cores", std::thread::hardware_concurrency()}, {"gpu", gpu}}},
          {"commit", SLLMR_COMMIT},
          {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))},
          {"data_hash", fmt::format("{:016x}", data_hash)}};
}

Device device_of(const Config& config) {
  switch (config.device) {
    case Config::Device::cpu:
      return parse_device("cpu");
    case Config::Device::cuda:
      return parse_device("cuda");
    case Config::Device::automatic:
      break;
  }
  return parse_device("auto");
}

std::string gpu_name(const Context& context) {
  if (context.device() == Device::cpu) return {};
  for (const DeviceInfo& info : list_devices()) {
    if (info.device == Device::cuda) return info.name;
  }
  return {};
}

std::string program_version() {
  return std::string(SLLMR_VERSION) + " (" + SLLMR_COMMIT + (SLLMR_WITH_CUDA ? ", CPU and CUDA)" : ", CPU)");
}

}  // namespace sllmr
