#include "host/data/line_reader.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

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

LineReader::LineReader(std::string path) : path_(std::move(path)), buffer_(1 << 20) {
  errno = 0;
  file_.reset(gzopen(path_.c_str(), "rb"));  // reads plain files as they are
  if (!file_)
    throw Error(fmt::format("{}: cannot be opened ({}); check the path", path_, std::strerror(errno)));
  gzbuffer(file_.get(), 1 << 18);
}

void LineReader::refill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());  // a line longer than the buffer
  const std::size_t room = std::min<std::size_t>(buffer_.size() - end_, 1 << 30);
  const int got = gzread(file_.get(), buffer_.data() + end_, static_cast<unsigned>(room));
  int code = Z_OK;
  const char* reason = gzerror(file_.get(), &code);
  if (got < 0) {
    ++line_number_;
    fail(fmt::format("cannot be read ({}); copy or unpack the file again",
                     code == Z_ERRNO ? std::strerror(errno) : reason));
  }
  end_ += static_cast<std::size_t>(got);
  end_of_file_ = static_cast<std::size_t>(got) < room;
  cut_off_ = code == Z_BUF_ERROR;
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
      if (cut_off_) {
        ++line_number_;
        fail("the gzip stream ends early, the file is truncated; copy it again");
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
  if (line_number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.ends_with('\r')) line.remove_suffix(1);
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

}  // namespace sllmr
