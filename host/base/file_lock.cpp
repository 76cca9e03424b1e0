#include "host/base/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "kernels/exec/error.h"

namespace sllmr {

std::optional<FileLock> FileLock::try_take(const std::string& path) {
  constexpr int kTries = 100;
  int fd = -1;
  for (int k = 0; k < kTries && fd < 0; ++k) {
    std::error_code found_by_open;
    if (k > 0) std::filesystem::create_directories(std::filesystem::path(path).parent_path(), found_by_open);
    fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 && errno != ENOENT) break;
  }
  require(fd >= 0, fmt::format("cannot open lock file '{}': {}", path, std::strerror(errno)));
  FileLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  require(errno == EWOULDBLOCK, fmt::format("cannot lock '{}': {}", path, std::strerror(errno)));
  return std::nullopt;
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}
FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace sllmr
