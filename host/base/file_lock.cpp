#include "host/base/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// Of an open file description (fcntl_locking(2)): unlike flock()'s such locks can be looked at.
struct flock whole_file() {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return whole;
}

}  // namespace

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
  struct flock whole = whole_file();
  if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) return lock;
  require(errno == EAGAIN || errno == EACCES,
          fmt::format("cannot lock '{}': {}", path, std::strerror(errno)));
  return std::nullopt;
}

bool FileLock::is_taken(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  const FileLock closes(fd);
  struct flock whole = whole_file();
  return ::fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
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
