// Lines of text files, plain or gzip, with errors that name file and line. Shared by all importers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/read_ahead.h"
#include "host/base/time_value.h"
#include "kernels/exec/not_copied.h"

namespace sllmr {

/// Splits `line` at every `separator` (not empty) into views of it.
void split(std::string_view line, std::string_view separator, std::vector<std::string_view>& fields);

/// The byte order mark that files in UTF-8 may begin with.
inline constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";
/// Whether a file that begins with `text` is in UTF-16 or UTF-32, by its byte order mark.
bool is_utf16(std::string_view text);

/// While it lives, keeps the paths of the files that this thread's LineReaders open. One within another: the
/// inner one keeps them.
class ReadFiles : NotCopied {
 public:
  ReadFiles();
  ~ReadFiles();
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  friend class LineReader;
  ReadFiles* outer_;
  std::vector<std::string> paths_;
};

/// Streams a file line by line in constant memory. Line ends are "\n" or "\r\n"; the byte order mark of UTF-8
/// is skipped.
class LineReader {
 public:
  /// Throws Error when the file cannot be opened.
  explicit LineReader(std::string path);

  /// Moves to the next line, valid until the next call; false at the end of the file. Throws Error for an
  /// empty line that other lines follow, a NUL or UTF-16, for a gzip stream that ends early or that something
  /// else follows, and for read errors.
  bool next(std::string_view& line);
  /// The first line, which must exist. Throws Error for an empty file.
  std::string_view first();

  /// After the last line: whether a plain file ended inside it. (A gzip stream that is cut off is an error.)
  bool may_be_truncated() const { return unterminated_ && !file_.is_gzip(); }

  const std::string& path() const { return path_; }
  /// Number of the line that next() returned last, from 1.
  std::int64_t line_number() const { return line_number_; }

  /// Throws Error `path:line: message` about the current line. A message says what is wrong; what to do.
  [[noreturn]] void fail(std::string_view message) const;
  /// split(), and Error unless there are exactly `expected` fields.
  void split_exactly(std::string_view line, std::string_view separator, std::size_t expected,
                     std::vector<std::string_view>& fields) const;
  /// Error unless there are `expected` fields; a last line without line end is told from a malformed one.
  void check_fields(std::size_t found, std::size_t expected) const;
  /// The finite number that is written in `field`; Error naming `column` otherwise.
  double number(std::string_view field, std::string_view column) const;
  /// As number(), of a time.
  Time time(std::string_view field, std::string_view column) const;

 private:
  bool next_raw(std::string_view& line);
  void refill();

  std::string path_;
  ReadAhead file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what next() has not returned yet
  bool end_of_file_ = false, unterminated_ = false;
  std::int64_t line_number_ = 0;
};

}  // namespace sllmr
