#include "host/base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
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

namespace fs = std::filesystem;

constexpr std::size_t buffer_bytes = std::size_t{1} << 18;
constexpr std::string_view temporary_infix = ".tmp.";
constexpr int most_links = 40;  // as the kernel follows
constexpr unsigned new_file_mode = 0666, private_mode = 0600, permission_bits = 07777;

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

/// Where a chain of symbolic links ends; the end need not exist.
std::string follow_links(const std::string& path) {
  fs::path at = path;
  std::error_code error;
  for (int link = 0; fs::is_symlink(fs::symlink_status(at, error)); ++link) {
    require(link < most_links,
            fmt::format("cannot write '{}': its symbolic links go round in circles", path));
    at = at.parent_path() / fs::read_symlink(at);
  }
  return at.string();
}

}  // namespace

AtomicFile::FileBuffer::FileBuffer() : buffer_(buffer_bytes) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

AtomicFile::FileBuffer::~FileBuffer() {
  if (fd_ >= 0) ::close(fd_);
}

bool AtomicFile::FileBuffer::open(const std::string& path, unsigned mode) {
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  error_ = fd_ < 0 ? errno : 0;
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

void AtomicFile::FileBuffer::overwrite(std::uint64_t at, std::string_view bytes) {
  if (!flush()) return;
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      error_ = written < 0 ? errno : EIO;
      return;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
    at += static_cast<std::uint64_t>(written);
  }
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
    : path_(std::move(path)), target_(follow_links(path_)), stream_(&buffer_) {
  struct stat old {};
  const bool replaces = ::stat(target_.c_str(), &old) == 0;
  require(!replaces || S_ISREG(old.st_mode),
          fmt::format("cannot write '{}': it exists and is not a regular file", path_));
  require(!replaces || ::access(target_.c_str(), W_OK) == 0,
          fmt::format("cannot write '{}': it is write-protected; name another file, or allow it (chmod u+w)",
                      path_));
  // A number that is taken is another writer's, or was left by a killed process that had ours.
  int number = ::getpid();
  do temporary_ = fmt::format("{}{}{}", target_, temporary_infix, number++);
  while (!buffer_.open(temporary_, replaces ? private_mode : new_file_mode) && buffer_.error() == EEXIST);
  if (buffer_.descriptor() < 0) fail("create", buffer_.error());
  if (!replaces) return;
  // The owner first, as a change of it clears bits of the mode. That only the superuser may give a file away
  // is no reason not to write it.
  if (::fchown(buffer_.descriptor(), old.st_uid, old.st_gid) != 0) errno = 0;
  if (::fchmod(buffer_.descriptor(), old.st_mode & permission_bits) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    fail("set the mode of", error);
  }
}

AtomicFile::~AtomicFile() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::overwrite(std::uint64_t at, std::string_view bytes) {
  buffer_.overwrite(at, bytes);
}

void AtomicFile::commit() {
  require(!committed_, fmt::format("'{}' was committed before", path_));
  if (!buffer_.finish()) fail("write", buffer_.error());
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail("replace", errno);
  committed_ = true;
  if (!sync_folder_of(target_)) fail("sync the folder of", errno);
}

void AtomicFile::fail(const char* action, int error) const {
  throw Error(fmt::format("cannot {} '{}': {}", action, path_, std::strerror(error)));
}

bool is_temporary_of(std::string_view name, std::string_view of) {
  if (!name.starts_with(of) || !name.substr(of.size()).starts_with(temporary_infix)) return false;
  const std::string_view number = name.substr(of.size() + temporary_infix.size());
  return !number.empty() && number.find_first_not_of("0123456789") == number.npos;
}

}  // namespace sllmr
