// A file's bytes, plain or gzip.
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

struct z_stream_s;

namespace sllmr {

/// Reads a file from its beginning. Gzip members may follow one another, and zeros may pad the end.
class InputFile {
 public:
  /// Throws Error when the file cannot be opened.
  explicit InputFile(const std::string& path);

  /// The next bytes, fewer than `size` only at the end of the file or where reading fails: see fault().
  std::size_t read(char* to, std::size_t size);
  /// Why reading has ended before the end of the file, and what to do; empty: it has not.
  const std::string& fault() const { return fault_; }
  /// Of a file that something was read from.
  bool is_gzip() const { return kind_ == Kind::gzip; }

 private:
  enum class Kind { unknown, plain, gzip };
  enum class Place { member, between, padding };  // in a gzip file

  bool fill();
  void inflate_some(char* to, std::size_t size, std::size_t& got);

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct End {
    void operator()(z_stream_s* stream) const;
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::unique_ptr<z_stream_s, End> stream_;
  std::vector<char> raw_;
  std::size_t begin_ = 0, end_ = 0;  // what of raw_ is not used yet
  Kind kind_ = Kind::unknown;
  Place place_ = Place::between;
  std::string fault_;
};

}  // namespace sllmr
