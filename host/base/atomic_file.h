// Files that appear whole or not at all.
#pragma once

#include <cstdint>
#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/exec/not_copied.h"

namespace sllmr {

/// Writes to `path`.tmp.<number> and renames on commit(); the destructor removes what was not committed, so a
/// crash, a full disk or an exception leaves the old file as it was. A file that is replaced passes on its
/// mode and, where that is allowed, its owner; a symbolic link stays and what it points to is replaced.
class AtomicFile : NotCopied {
 public:
  /// Throws Error when the temporary cannot be created, or `path` exists and is not a regular file or is
  /// write-protected.
  explicit AtomicFile(std::string path);
  ~AtomicFile();

  /// Not seekable. A failed write sets badbit; commit() then says why.
  std::ostream& stream() { return stream_; }
  /// Puts `bytes` in the place of as many that were written `at` bytes after the beginning.
  void overwrite(std::uint64_t at, std::string_view bytes);
  /// Flushes to the disk, checks every write and renames. Throws Error naming path and cause ("No space
  /// left").
  void commit();

 private:
  // std::ofstream tells neither why a write failed nor its descriptor, which fsync needs.
  class FileBuffer : public std::streambuf {
   public:
    FileBuffer();
    ~FileBuffer() override;
    // False, with error(), also where there is such a file.
    bool open(const std::string& path, unsigned mode);
    void overwrite(std::uint64_t at, std::string_view bytes);
    int descriptor() const { return fd_; }
    // Flush, fsync and close. False when any write since open() failed; error() is its errno.
    bool finish();
    int error() const { return error_; }

   protected:
    int_type overflow(int_type c) override;
    std::streamsize xsputn(const char* bytes, std::streamsize count) override;
    int sync() override;

   private:
    bool write_all(const char* bytes, std::size_t count);
    bool flush();

    int fd_ = -1;
    int error_ = 0;
    std::vector<char> buffer_;
  };

  [[noreturn]] void fail(const char* action, int error) const;

  std::string path_, target_, temporary_;  // target_: path_ with its symbolic links followed
  FileBuffer buffer_;
  std::ostream stream_;
  bool committed_ = false;
};

/// Is `name` what AtomicFile calls a temporary of a file named `of`: "summary.json.tmp.123"?
bool is_temporary_of(std::string_view name, std::string_view of);

}  // namespace sllmr
