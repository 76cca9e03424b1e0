// The memory for the replies that are under way.
#pragma once

#include <curl/curl.h>

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace sllmr {

inline constexpr std::size_t kLargestReply = std::size_t{16} << 20;       // bytes of one body
inline constexpr std::size_t kLargestReplyTotal = std::size_t{64} << 20;  // of all bodies under way

class ReplyMemory;

/// The body of one reply as it comes in.
struct IncomingBody {
  CURL* transfer = nullptr;  // that brings it
  ReplyMemory* memory = nullptr;
  std::deque<std::string> pieces;  // a string that grows to megabytes leaves holes in the heap
  std::size_t size = 0;            // of all pieces
};

/// Bounds the bytes of all bodies under way. A transfer that finds none left waits, with its connection,
/// until another is done; one at a time goes on regardless, so that all of them come to an end.
class ReplyMemory {
 public:
  /// As curl's write function: how much was taken, or that the transfer is to wait. 0, which curl takes for a
  /// failed write, of a body that grows beyond kLargestReply.
  std::size_t take(IncomingBody& body, std::string_view bytes);
  /// The body, which is the caller's from now on.
  std::string release(IncomingBody& body);
  /// Lets the transfers that wait go on. Call it after bodies were released.
  void resume_paused();

 private:
  std::size_t held_ = 0;
  IncomingBody* privileged_ = nullptr;
  std::vector<IncomingBody*> paused_;
};

/// A write function for curl (CURLOPT_WRITEFUNCTION); `body` is the IncomingBody.
std::size_t receive_reply(char* bytes, std::size_t size, std::size_t count, void* body);

}  // namespace sllmr
