// Files that appear whole or not at all.
#pragma once

#include <ostream>
#include <streambuf>
#include <string>
#include <vector>

namespace sllmr {

/// Writes to `path`.tmp.<pid> and renames on commit(); the destructor removes what was not committed, so a
/// crash, a full disk or an exception leaves the old file as it was.
class AtomicFile {
 public:
  /// Throws Error when the temporary cannot be created, or `path` exists and is not a regular file.
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Not seekable. A failed write sets badbit; commit() then says why.
  std::ostream& stream() { return stream_; }
  /// Flushes to the disk, checks every write and renames. Throws Error naming path and cause ("No space
  /// left").
  void commit();

 private:
  // std::ofstream tells neither why a write failed nor its descriptor, which fsync needs.
  class FileBuffer : public std::streambuf {
   public:
    FileBuffer();
    ~FileBuffer() override;
    bool open(const std::string& path);
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

  std::string path_, temporary_;
  FileBuffer buffer_;
  std::ostream stream_;
  bool committed_ = false;
};

}  // namespace sllmr
