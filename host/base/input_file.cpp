#include "host/base/input_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr std::size_t kRawBytes = 1 << 18;
constexpr std::size_t kLargestPiece = 1 << 30;  // zlib counts in 32 bits
constexpr int kGzipWindow = 15 + 16;

}  // namespace

void InputFile::End::operator()(z_stream_s* stream) const {
  inflateEnd(stream);
  delete stream;
}

InputFile::InputFile(const std::string& path) : file_(std::fopen(path.c_str(), "rb")), raw_(kRawBytes) {
  if (!file_)
    throw Error(fmt::format("{}: cannot be opened ({}); check the path", path, std::strerror(errno)));
}

bool InputFile::fill() {
  begin_ = 0;
  errno = 0;
  end_ = std::fread(raw_.data(), 1, raw_.size(), file_.get());
  if (std::ferror(file_.get())) {
    fault_ = fmt::format("cannot be read ({}); copy or unpack the file again", std::strerror(errno));
  }
  return end_ > 0;
}

std::size_t InputFile::read(char* to, std::size_t size) {
  std::size_t got = 0;
  while (got < size && fault_.empty()) {
    if (begin_ == end_ && !fill()) {
      if (kind_ == Kind::gzip && place_ == Place::member && fault_.empty()) {
        fault_ = "the gzip stream ends early, the file is truncated; copy it again";
      }
      break;
    }
    if (kind_ == Kind::unknown) {
      const bool gzip = end_ >= 2 && raw_[0] == '\x1F' && raw_[1] == '\x8B';
      kind_ = gzip ? Kind::gzip : Kind::plain;
    }
    if (kind_ == Kind::plain) {
      const std::size_t n = std::min(size - got, end_ - begin_);
      std::memcpy(to + got, raw_.data() + begin_, n);
      begin_ += n;
      got += n;
    } else {
      inflate_some(to, size, got);
    }
  }
  return got;
}

void InputFile::inflate_some(char* to, std::size_t size, std::size_t& got) {
  if (place_ != Place::member) {
    const char next = raw_[begin_];
    if (next == '\0') {
      place_ = Place::padding;
      ++begin_;
      return;
    }
    if (place_ == Place::padding || next != '\x1F') {
      fault_ = "something else follows the gzip stream; copy the file again, or unpack and check it";
      return;
    }
    // Closed and opened for each member: a stream must not be ended before it was begun.
    stream_.reset();
    auto stream = std::make_unique<z_stream>();
    require(inflateInit2(stream.get(), kGzipWindow) == Z_OK, "zlib cannot be initialised; free some memory");
    stream_.reset(stream.release());
    place_ = Place::member;
  }
  stream_->next_in = reinterpret_cast<Bytef*>(raw_.data() + begin_);
  stream_->avail_in = static_cast<uInt>(end_ - begin_);
  const std::size_t room = std::min(size - got, kLargestPiece);
  stream_->next_out = reinterpret_cast<Bytef*>(to + got);
  stream_->avail_out = static_cast<uInt>(room);
  const int code = inflate(stream_.get(), Z_NO_FLUSH);
  begin_ = end_ - stream_->avail_in;
  got += room - stream_->avail_out;
  if (code == Z_STREAM_END) {
    place_ = Place::between;
  } else if (code != Z_OK && code != Z_BUF_ERROR) {
    fault_ = fmt::format("cannot be read ({}); copy or unpack the file again",
                         stream_->msg == nullptr ? "damaged gzip data" : stream_->msg);
  }
}

}  // namespace sllmr
