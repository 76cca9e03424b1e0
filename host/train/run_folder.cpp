#include "host/train/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "host/atomic_file.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

namespace fs = std::filesystem;

constexpr const char* config_file =
    "config.toml";  // written first: its presence says that the folder holds a run
constexpr const char* metrics_file = "metrics.jsonl";
constexpr const char* gate_file = "gate.jsonl";
constexpr const char* summary_file = "summary.json";

void write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.stream() << text;
  file.commit();
}

}  // namespace

RunFolder::Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}
RunFolder::Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
RunFolder::Descriptor& RunFolder::Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

RunFolder::RunFolder(const std::string& path) : path_(path), lock_(open(".lock", O_RDWR | O_CREAT)) {
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return;
  require(errno != EWOULDBLOCK, fmt::format("another process is training in '{}'", path_));
  throw Error(fmt::format("cannot lock run folder '{}': {}", path_, std::strerror(errno)));
}

RunFolder RunFolder::create(const std::string& path, const Config& config) {
  std::error_code error;
  fs::create_directories(path, error);
  require(!error, fmt::format("cannot create run folder '{}': {}", path, error.message()));
  RunFolder folder(path);
  require(!fs::exists(folder.file(config_file)),
          fmt::format("run folder '{}' holds a run: resume it, remove it, or choose another run_dir", path));
  folder.open_logs(O_TRUNC);
  write_file(folder.file(config_file), to_toml(config));
  return folder;
}

RunFolder RunFolder::resume(const std::string& path) {
  require(fs::exists(path + "/" + config_file),
          fmt::format("nothing to resume in '{}': it has no {}", path, config_file));
  RunFolder folder(path);
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().filename().string().find(".tmp.") != std::string::npos) fs::remove(entry.path());
  }
  folder.open_logs(0);
  return folder;
}

void RunFolder::log(const nlohmann::json& event) {
  append(metrics_, metrics_file, event);
}

void RunFolder::log_gate(const nlohmann::json& event) {
  append(gate_, gate_file, event);
}

void RunFolder::drop_events_after(std::int64_t epoch) {
  drop_events_after(metrics_file, epoch);
  drop_events_after(gate_file, epoch);
  open_logs(0);  // the descriptors still point to the files that were replaced
}

void RunFolder::write_summary(const nlohmann::json& summary) {
  write_file(file(summary_file), summary.dump(2) + '\n');
}

RunFolder::Descriptor RunFolder::open(const char* name, int flags) const {
  const int fd = ::open(file(name).c_str(), flags | O_CLOEXEC, 0666);
  require(fd >= 0, fmt::format("cannot open '{}': {}", file(name), std::strerror(errno)));
  return Descriptor(fd);
}

void RunFolder::open_logs(int flags) {
  metrics_ = open(metrics_file, O_WRONLY | O_CREAT | O_APPEND | flags);
  gate_ = open(gate_file, O_WRONLY | O_CREAT | O_APPEND | flags);
}

void RunFolder::append(const Descriptor& log, const char* name, const nlohmann::json& event) const {
  const std::string line = event.dump() + '\n';
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t written = ::write(log.get(), rest.data(), rest.size());
    require(written >= 0 || errno == EINTR,
            fmt::format("cannot write '{}': {}", file(name), std::strerror(errno)));
    if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void RunFolder::drop_events_after(const char* name, std::int64_t epoch) const {
  std::ifstream in(file(name), std::ios::binary);
  std::string kept, line;
  for (int number = 1; std::getline(in, line) && !in.eof(); ++number) {  // eof: no newline, so a torn line
    const nlohmann::json event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    require(event.is_object(),
            fmt::format("{}:{}: not a JSON event; remove the line to resume", file(name), number));
    if (event.value("epoch", epoch) > epoch) break;
    kept += line + '\n';
  }
  write_file(file(name), kept);
}

nlohmann::json read_summary(const std::string& folder) {
  const fs::path path = fs::path(folder) / summary_file;
  if (!fs::exists(path)) return nullptr;
  std::ifstream in(path);
  nlohmann::json summary = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  require(summary.is_object() && summary.contains("config") && summary["config"].is_string(),
          fmt::format("{}: not a run's summary; remove the folder, or choose another one", path.string()));
  return summary;
}

}  // namespace sllmr
