// Locks that processes hold on files.
#pragma once

#include <optional>
#include <string>

namespace sllmr {

/// An exclusive lock on a file, which ends with this object or with the process, however that ends. It binds
/// those alone who ask for it.
class FileLock {
 public:
  /// Makes the file where there is none, with its folder, which another process may remove meanwhile. Empty:
  /// another holds it. Throws Error naming the file and the cause where it cannot be opened or locked.
  static std::optional<FileLock> try_take(const std::string& path);

  /// Does somebody hold it? Takes nothing; a file that is not there is free.
  static bool is_taken(const std::string& path);

  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;

 private:
  explicit FileLock(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace sllmr
