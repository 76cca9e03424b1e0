// A file's bytes for who works on them as they come.
#pragma once

#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "host/base/input_file.h"

namespace sllmr {

/// An InputFile. Of a gzip file the next piece is unpacked by another thread while the caller is at the last
/// one.
class ReadAhead {
 public:
  /// Throws Error when the file cannot be opened.
  explicit ReadAhead(const std::string& path) : file_(std::make_unique<InputFile>(path)) {}

  /// As InputFile's.
  std::size_t read(char* to, std::size_t size);
  const std::string& fault() const { return fault_; }
  bool is_gzip() const { return gzip_; }

 private:
  struct Piece {
    std::vector<char> bytes;  // no fewer than asked for, but for the last
    std::string fault;        // after them
  };
  void begin_piece(std::vector<char> memory);

  std::unique_ptr<InputFile> file_;  // at one place, for the thread that reads it
  bool gzip_ = false, is_last_ = false;
  Piece piece_;
  std::size_t used_ = 0;  // of the piece
  std::string fault_;
  std::future<Piece> ahead_;  // its destructor waits for the thread
};

}  // namespace sllmr
