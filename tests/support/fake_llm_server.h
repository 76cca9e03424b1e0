// An OpenAI-compatible server for tests, on one thread of this process: answers by a fixed function of the
// prompt, and misbehaves where it is told to.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace sllmr::test {

/// What the server does with a request.
struct FakeReply {
  enum class Kind { answer, hang, half, drop, twice };
  Kind kind = Kind::answer;
  int status = 200;
  std::string headers;  // lines with \r\n
  std::string body;
  int delay_ms = 0;  // before the answer, so that answers overtake each other
};

class FakeLlmServer {
 public:
  /// Called on the server's thread with the request's head and body, and how often this body came before.
  using Handler = std::function<FakeReply(const std::string& head, const std::string& body, int seen)>;

  explicit FakeLlmServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 512) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no port to listen on");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { loop(); });
  }
  ~FakeLlmServer() {
    stop_ = true;
    thread_.join();
    for (const Connection& connection : connections_) ::close(connection.socket);
    ::close(listener_);
  }
  FakeLlmServer(const FakeLlmServer&) = delete;
  FakeLlmServer& operator=(const FakeLlmServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  /// Requests that came, faulty ones included.
  std::int64_t requests() const { return requests_; }
  /// Requests that were answered as they should be; `twice` counts once.
  std::int64_t answered() const { return answered_; }
  /// Different bodies that came.
  std::int64_t distinct() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::int64_t>(seen_.size());
  }
  /// How often the most requested body was answered as it should be.
  int most_answers_of_one() const {
    const std::lock_guard lock(mutex_);
    int most = 0;
    for (const auto& [hash, count] : good_) most = std::max(most, count);
    return most;
  }
  /// Every body is new again.
  void forget() {
    const std::lock_guard lock(mutex_);
    seen_.clear();
  }
  /// Forget which bodies came; for servers that serve very many.
  void keep_no_history() { history_ = false; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Pending {
    Clock::time_point due;
    std::string bytes;
    bool close = false;
  };
  struct Connection {
    int socket = -1;
    std::string in, out;
    std::size_t sent = 0;  // of out
    std::deque<Pending> pending;
    bool close_after = false, dead = false;
  };

  void loop() {
    std::vector<pollfd> polls;
    while (!stop_) {
      polls.assign(1, {listener_, POLLIN, 0});
      int wait = 20;
      const Clock::time_point now = Clock::now();
      for (Connection& connection : connections_) {
        short events = POLLIN;
        if (!connection.out.empty()) events |= POLLOUT;
        if (!connection.pending.empty() &&
            connection.pending.front().due <= now + std::chrono::milliseconds(1))
          wait = 1;
        polls.push_back({connection.socket, events, 0});
      }
      if (::poll(polls.data(), polls.size(), wait) < 0) continue;
      for (std::size_t k = 0; k < connections_.size(); ++k) {
        if (polls[k + 1].revents & (POLLIN | POLLHUP | POLLERR)) receive(connections_[k]);
        flush(connections_[k]);
      }
      if (polls[0].revents & POLLIN) accept_all();
      std::erase_if(connections_, [](const Connection& connection) {
        if (connection.dead) ::close(connection.socket);
        return connection.dead;
      });
    }
  }

  void accept_all() {
    for (int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); socket >= 0;
         socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) {
      const int on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      connections_.emplace_back();
      connections_.back().socket = socket;
    }
  }

  void receive(Connection& connection) {
    char buffer[65536];
    for (;;) {
      const ssize_t count = ::recv(connection.socket, buffer, sizeof buffer, 0);
      if (count > 0) {
        connection.in.append(buffer, static_cast<std::size_t>(count));
        continue;
      }
      if (count == 0 || (errno != EAGAIN && errno != EINTR)) connection.dead = true;
      break;
    }
    for (;;) {
      const auto end = connection.in.find("\r\n\r\n");
      if (end == connection.in.npos) return;
      const std::string head = connection.in.substr(0, end);
      std::size_t length = 0;
      if (const auto at = head.find("Content-Length: "); at != head.npos) {
        length = static_cast<std::size_t>(std::atoll(head.c_str() + at + 16));
      }
      if (connection.in.size() < end + 4 + length) return;
      const std::string body = connection.in.substr(end + 4, length);
      connection.in.erase(0, end + 4 + length);
      serve(connection, head, body);
    }
  }

  void serve(Connection& connection, const std::string& head, const std::string& body) {
    ++requests_;
    const std::size_t hash = std::hash<std::string>()(body);
    int seen = 0;
    if (history_) {
      const std::lock_guard lock(mutex_);
      seen = seen_[hash]++;
    }
    const FakeReply reply = handler_(head, body, seen);
    std::string bytes = "HTTP/1.1 " + std::to_string(reply.status) +
                        " X\r\nContent-Type: application/json\r\n" + reply.headers +
                        "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
    Pending pending{Clock::now() + std::chrono::milliseconds(reply.delay_ms), {}, false};
    switch (reply.kind) {
      case FakeReply::Kind::hang:
        return;  // until the client gives up
      case FakeReply::Kind::half:
        pending.bytes = bytes.substr(0, bytes.size() - reply.body.size() / 2 - 1);
        pending.close = true;
        break;
      case FakeReply::Kind::drop:
        pending.close = true;
        break;
      case FakeReply::Kind::twice:
        pending.bytes = bytes + bytes;
        break;
      case FakeReply::Kind::answer:
        pending.bytes = std::move(bytes);
        break;
    }
    if (reply.status == 200 &&
        (reply.kind == FakeReply::Kind::answer || reply.kind == FakeReply::Kind::twice)) {
      ++answered_;
      if (history_) {
        const std::lock_guard lock(mutex_);
        ++good_[hash];
      }
    }
    connection.pending.push_back(std::move(pending));
  }

  void flush(Connection& connection) {
    const Clock::time_point now = Clock::now();
    while (!connection.pending.empty() && connection.pending.front().due <= now) {
      connection.out += connection.pending.front().bytes;
      connection.close_after |= connection.pending.front().close;
      connection.pending.pop_front();
    }
    while (!connection.out.empty()) {
      const ssize_t count = ::send(connection.socket, connection.out.data() + connection.sent,
                                   connection.out.size() - connection.sent, MSG_NOSIGNAL);
      if (count <= 0) {
        if (errno != EAGAIN && errno != EINTR) connection.dead = true;
        return;
      }
      connection.sent += static_cast<std::size_t>(count);
      if (connection.sent < connection.out.size()) continue;
      connection.out.clear();
      connection.sent = 0;
    }
    if (connection.close_after) connection.dead = true;
  }

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> history_{true};
  std::atomic<std::int64_t> requests_{0}, answered_{0};
  mutable std::mutex mutex_;
  std::unordered_map<std::size_t, int> seen_, good_;
  std::vector<Connection> connections_;
  std::thread thread_;
};

/// A chat completion with this text, as a body. `text` goes in as it is: escape it for JSON.
inline std::string chat_completion(const std::string& text, const std::string& logprobs = "null") {
  return R"({"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":")" +
         text + R"("},"logprobs":)" + logprobs +
         R"(}],"usage":{"prompt_tokens":100,"completion_tokens":50}})";
}

}  // namespace sllmr::test
