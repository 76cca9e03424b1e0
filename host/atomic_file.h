// Files that appear whole or not at all.
#pragma once

#include <fstream>
#include <string>

namespace sllmr {

/// Writes to `path`.tmp.<pid> and renames on commit(); the destructor removes what was not committed, so a crash, a
/// full disk or an exception leaves the old file as it was.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  std::ostream& stream() { return stream_; }
  /// Flushes to the disk, checks every write and renames. Throws Error naming path and cause ("No space left").
  void commit();

 private:
  std::string path_, temporary_;
  std::ofstream stream_;
  bool committed_ = false;
};

}  // namespace sllmr
