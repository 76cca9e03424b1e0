#include "host/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 18;

// Some file systems cannot sync a file or a directory and say EINVAL; the data are then as safe as they get.
bool sync_descriptor(int fd) {
  return ::fsync(fd) == 0 || errno == EINVAL;
}

bool sync_folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = sync_descriptor(fd);
  const int error = errno;
  ::close(fd);
  errno = error;
  return synced;
}

}  // namespace

AtomicFile::FileBuffer::FileBuffer() : buffer_(buffer_bytes) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

AtomicFile::FileBuffer::~FileBuffer() {
  if (fd_ >= 0) ::close(fd_);
}

bool AtomicFile::FileBuffer::open(const std::string& path) {
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) error_ = errno;
  return fd_ >= 0;
}

bool AtomicFile::FileBuffer::finish() {
  if (flush() && !sync_descriptor(fd_)) error_ = errno;
  if (::close(std::exchange(fd_, -1)) != 0 && error_ == 0) error_ = errno;
  return error_ == 0;
}

AtomicFile::FileBuffer::int_type AtomicFile::FileBuffer::overflow(int_type c) {
  if (!flush()) return traits_type::eof();
  if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
  return traits_type::not_eof(c);
}

std::streamsize AtomicFile::FileBuffer::xsputn(const char* bytes, std::streamsize count) {
  if (count > epptr() - pptr() && !flush()) return 0;
  if (count > epptr() - pptr()) return write_all(bytes, static_cast<std::size_t>(count)) ? count : 0;
  std::copy_n(bytes, count, pptr());
  pbump(static_cast<int>(count));
  return count;
}

int AtomicFile::FileBuffer::sync() {
  return flush() ? 0 : -1;
}

bool AtomicFile::FileBuffer::flush() {
  const bool written = write_all(pbase(), static_cast<std::size_t>(pptr() - pbase()));
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  return written;
}

bool AtomicFile::FileBuffer::write_all(const char* bytes, std::size_t count) {
  while (count > 0 && error_ == 0) {
    const ssize_t written = ::write(fd_, bytes, count);
    if (written >= 0) {
      bytes += written;
      count -= static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  return error_ == 0;
}

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), temporary_(fmt::format("{}.tmp.{}", path_, ::getpid())), stream_(&buffer_) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path_, ignored);
  require(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status),
          fmt::format("cannot write '{}': it exists and is not a regular file", path_));
  if (!buffer_.open(temporary_)) fail("create", buffer_.error());
}

AtomicFile::~AtomicFile() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
  require(!committed_, fmt::format("'{}' was committed before", path_));
  if (!buffer_.finish()) fail("write", buffer_.error());
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("replace", errno);
  committed_ = true;
  if (!sync_folder_of(path_)) fail("sync the folder of", errno);
}

void AtomicFile::fail(const char* action, int error) const {
  throw Error(fmt::format("cannot {} '{}': {}", action, path_, std::strerror(error)));
}

}  // namespace sllmr
