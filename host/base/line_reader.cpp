#include "host/base/line_reader.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/exec/error.h"

namespace sllmr {

void split(std::string_view line, std::string_view separator, std::vector<std::string_view>& fields) {
  fields.clear();
  std::size_t begin = 0;
  for (std::size_t end; (end = line.find(separator, begin)) != line.npos; begin = end + separator.size()) {
    fields.push_back(line.substr(begin, end - begin));
  }
  fields.push_back(line.substr(begin));
}

bool is_utf16(std::string_view text) {
  return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
         text.starts_with(std::string_view("\0\0\xFE\xFF", 4));
}

namespace {
thread_local ReadFiles* read_files = nullptr;
}

ReadFiles::ReadFiles() : outer_(std::exchange(read_files, this)) {}

ReadFiles::~ReadFiles() {
  read_files = outer_;
}

LineReader::LineReader(std::string path) : path_(std::move(path)), file_(path_), buffer_(1 << 20) {
  if (read_files != nullptr) read_files->paths_.push_back(path_);
}

void LineReader::refill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());  // a line longer than the buffer
  const std::size_t room = buffer_.size() - end_;
  const std::size_t got = file_.read(buffer_.data() + end_, room);
  end_ += got;
  end_of_file_ = got < room;
}

bool LineReader::next_raw(std::string_view& line) {
  std::size_t searched = 0;
  for (;;) {
    const std::size_t size = end_ - begin_;
    const char* start = buffer_.data() + begin_;
    if (const void* newline = std::memchr(start + searched, '\n', size - searched)) {
      line = {start, static_cast<std::size_t>(static_cast<const char*>(newline) - start)};
      begin_ += line.size() + 1;
      break;
    }
    if (end_of_file_) {
      if (!file_.fault().empty()) {
        ++line_number_;
        fail(file_.fault());
      }
      if (size == 0) return false;
      line = {start, size};
      begin_ = end_;
      unterminated_ = true;
      break;
    }
    searched = size;
    refill();
  }
  ++line_number_;
  if (line_number_ == 1) {
    if (is_utf16(line))
      fail("the file is in UTF-16 or UTF-32; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)");
    if (line.starts_with(kUtf8Mark)) line.remove_prefix(kUtf8Mark.size());
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.find('\0') != line.npos) {
    fail("the line holds a NUL byte: the file is damaged, or no text in UTF-8; copy or convert it again");
  }
  return true;
}

bool LineReader::next(std::string_view& line) {
  if (!next_raw(line)) return false;
  if (!line.empty()) return true;
  // Empty lines are fine at the end of a file only.
  const std::int64_t empty_line = line_number_;
  while (next_raw(line)) {
    if (line.empty()) continue;
    line_number_ = empty_line;
    fail("the line is empty; delete it");
  }
  return false;
}

std::string_view LineReader::first() {
  std::string_view line;
  if (!next(line)) {
    line_number_ = 1;
    fail("the file is empty; copy or create it again");
  }
  return line;
}

void LineReader::fail(std::string_view message) const {
  throw Error(fmt::format("{}:{}: {}", path_, line_number_, message));
}

void LineReader::split_exactly(std::string_view line, std::string_view separator, std::size_t expected,
                               std::vector<std::string_view>& fields) const {
  split(line, separator, fields);
  check_fields(fields.size(), expected);
}

void LineReader::check_fields(std::size_t found, std::size_t expected) const {
  if (found == expected) return;
  fail(fmt::format("{} fields where {} are expected; {}", found, expected,
                   found < expected && unterminated_ ? "the file is truncated here: copy it again"
                                                     : "correct or delete the line"));
}

double LineReader::number(std::string_view field, std::string_view column) const {
  double value = 0;
  const char* end = field.data() + field.size();
  const auto [stopped, error] = std::from_chars(field.data(), end, value);
  if (error != std::errc() || stopped != end || !std::isfinite(value)) {
    fail(fmt::format("{} is '{}', not a finite number; correct or delete the line", column, field));
  }
  return value;
}

Time LineReader::time(std::string_view field, std::string_view column) const {
  const std::optional<Time> value = parse_time(field);
  if (!value) {
    fail(fmt::format("{} is '{}', not a finite number below 1.7e20; correct or delete the line", column,
                     field));
  }
  return *value;
}

}  // namespace sllmr
