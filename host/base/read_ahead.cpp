#include "host/base/read_ahead.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sllmr {
namespace {

constexpr std::size_t kPiece = 1 << 20;

}  // namespace

void ReadAhead::begin_piece(std::vector<char> memory) {
  ahead_ = std::async(std::launch::async, [file = file_.get(), bytes = std::move(memory)]() mutable {
    bytes.resize(kPiece);
    bytes.resize(file->read(bytes.data(), bytes.size()));
    return Piece{std::move(bytes), file->fault()};
  });
}

std::size_t ReadAhead::read(char* to, std::size_t size) {
  if (!gzip_) {
    const std::size_t got = file_->read(to, size);
    gzip_ = file_->is_gzip();
    fault_ = file_->fault();
    is_last_ = got < size;
    if (gzip_ && !is_last_) begin_piece({});
    return got;
  }
  std::size_t got = 0;
  while (got < size) {
    if (used_ == piece_.bytes.size()) {
      if (is_last_) {
        if (fault_.empty()) fault_ = piece_.fault;
        break;
      }
      Piece done = std::exchange(piece_, ahead_.get());
      used_ = 0;
      is_last_ = piece_.bytes.size() < kPiece;
      if (!is_last_) begin_piece(std::move(done.bytes));
      continue;
    }
    const std::size_t n = std::min(size - got, piece_.bytes.size() - used_);
    std::memcpy(to + got, piece_.bytes.data() + used_, n);
    used_ += n;
    got += n;
  }
  return got;
}

}  // namespace sllmr
