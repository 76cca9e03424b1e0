// POST requests to one server, many in flight on one thread, repeated until they succeed or there is no
// point.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "kernels/exec/not_copied.h"

namespace sllmr {

struct HttpOptions {
  int in_flight = 16;      // requests under way, those that wait for another try included
  double timeout_s = 120;  // of one try, from connecting to the last byte; 1 ms to a day
  double connect_timeout_s = 10;
  int max_tries = 8;
  double first_delay_s = 0.5;  // before the second try; doubles with every further one
  double longest_delay_s = 60;
  double requests_per_minute = 0;  // 0: no limit
  double tokens_per_minute = 0;    // 0: no limit
  std::string key;                 // sent as a bearer token; empty: none
};

struct HttpRequest {
  std::uint64_t id = 0;     // the caller's
  std::string url, body;    // the body is JSON
  std::int64_t tokens = 0;  // estimate, for tokens_per_minute
};

struct HttpReply {
  std::uint64_t id = 0;
  int status = 0;     // of the last try; 0: no reply, and `error` says why
  std::string body;   // without the key (redact.h)
  std::string error;  // empty when the request succeeded: status 2xx and a body that was accepted
  int tries = 0;
  double seconds = 0;  // of the last try
};

/// What the caller makes of a body.
struct Verdict {
  std::string fault = {};   // why it is not what was asked for; empty: accepted
  bool worth_a_try = true;  // with a fault: may another try mend it?
};

struct HttpStats {
  std::int64_t succeeded = 0, failed = 0;
  // Tries that were followed by another one, by cause.
  std::int64_t rate_limited = 0, server_errors = 0, timeouts = 0, broken = 0, rejected = 0;
};

/// A client of OpenAI-compatible servers: HTTP and HTTPS, connections kept alive, no redirects.
///
/// Tried again, after first_delay_s * 2^k with jitter: 408, 425, 429, 5xx, time-outs, broken connections and
/// bodies that are not accepted (unless their verdict says no). A Retry-After header sets the shortest wait
/// (at most 10 minutes). A request that waits counts as in flight, so a server that pushes back slows the
/// whole client down.
///
/// Memory does not grow with the number of requests. A reply has at most 16 MiB, all replies under way have
/// about 64: where they would have more, the slower ones wait. The key is in no reply, error or exception,
/// and goes over plain HTTP to this machine only. Requests to this machine go past proxies; others use those
/// that the environment names, as curl does.
class HttpClient : NotCopied {
 public:
  /// Throws Error for options out of range and for a key that no header can hold.
  explicit HttpClient(HttpOptions options);
  ~HttpClient();

  /// The next request; nothing when there are no more.
  using Source = std::function<std::optional<HttpRequest>()>;
  /// Takes each reply once, in the order of completion.
  using Sink = std::function<void(HttpReply)>;
  /// Looks at the body of a 2xx reply, the try's number counted from 1; what has a fault is a failed try.
  using Accept = std::function<Verdict(std::uint64_t id, const std::string& body, int tries)>;
  /// Asked now and then: end the run early? Requests in flight are dropped.
  using Stop = std::function<bool()>;

  /// Sends everything that `source` has. All functions are called on this thread; what they throw ends the
  /// run. Throws Error for a request that would carry the key over plain HTTP to another machine.
  HttpStats run(const Source& source, const Sink& sink, const Accept& accept, const Stop& stop);

 private:
  class Run;
  HttpOptions options_;
};

}  // namespace sllmr
