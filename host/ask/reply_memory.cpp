#include "host/ask/reply_memory.h"

#include <utility>

namespace sllmr {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 16;

}  // namespace

std::size_t ReplyMemory::take(IncomingBody& body, std::string_view bytes) {
  if (body.size + bytes.size() > kLargestReply) return 0;
  if (held_ + bytes.size() > kLargestReplyTotal && privileged_ != &body) {
    if (privileged_ != nullptr) {
      paused_.push_back(&body);
      return CURL_WRITEFUNC_PAUSE;
    }
    privileged_ = &body;
  }
  if (body.pieces.empty() || body.pieces.back().size() >= kPiece) body.pieces.emplace_back();
  body.pieces.back().append(bytes);
  body.size += bytes.size();
  held_ += bytes.size();
  return bytes.size();
}

std::string ReplyMemory::release(IncomingBody& body) {
  held_ -= body.size;
  if (privileged_ == &body) privileged_ = nullptr;
  std::erase(paused_, &body);
  std::string whole;
  whole.reserve(std::exchange(body.size, 0));
  for (; !body.pieces.empty(); body.pieces.pop_front()) whole += body.pieces.front();
  return whole;
}

void ReplyMemory::resume_paused() {
  // A transfer that finds no memory again pauses again.
  for (IncomingBody* body : std::exchange(paused_, {})) curl_easy_pause(body->transfer, CURLPAUSE_CONT);
}

std::size_t receive_reply(char* bytes, std::size_t size, std::size_t count, void* body) {
  auto& incoming = *static_cast<IncomingBody*>(body);
  return incoming.memory->take(incoming, {bytes, size * count});
}

}  // namespace sllmr
