#include "host/llm/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "host/llm/redact.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kLargestBody = std::size_t{16} << 20;
constexpr std::size_t kPiece = std::size_t{1} << 16;
constexpr std::size_t kLargestTotal = std::size_t{64} << 20;  // of all bodies under way
constexpr double kLongestRetryAfter = 600;
constexpr int kPollMs = 200;  // longest sleep, so that `stop` is asked in time

/// Lets a rate through on average, with bursts of a second's worth. May go into debt for one large item.
class TokenBucket {
 public:
  TokenBucket(double per_minute, Clock::time_point now)
      : per_second_(per_minute / 60), burst_(std::max(per_second_, 1.0)), level_(burst_), last_(now) {}

  /// Seconds until the next item may pass.
  double wait(Clock::time_point now) {
    if (per_second_ <= 0) return 0;
    level_ = std::min(burst_, level_ + per_second_ * Seconds(now - last_).count());
    last_ = now;
    return level_ > 0 ? 0 : (1e-3 - level_) / per_second_;
  }
  void take(double amount) {
    if (per_second_ > 0) level_ -= amount;
  }

 private:
  double per_second_, burst_, level_;
  Clock::time_point last_;
};

// CURL and CURLM are both void in C++, so the deleters tell them apart.
struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiDeleter {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListDeleter>;

void append(List& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  require(longer != nullptr, "out of memory for a request's headers");
  [[maybe_unused]] curl_slist* old = list.release();
  list.reset(longer);
}

class Room;

/// A place in flight: one request, its tries one after the other.
struct Place {
  std::unique_ptr<CURL, EasyDeleter> handle;
  HttpRequest request;
  std::deque<std::string> body;  // in pieces: a string that grows to megabytes leaves holes in the heap
  std::size_t body_size = 0;
  Room* room = nullptr;
  bool sending = false;
  int tries = 0;
  Clock::time_point next_try;
};

/// The memory for the bodies under way. A reply that finds none left waits, with its connection, until
/// another is done; one at a time goes on regardless, so that all of them come to an end.
class Room {
 public:
  /// As curl's write function: how much was taken, or that the transfer is to wait.
  std::size_t take(Place& place, std::string_view bytes) {
    if (place.body_size + bytes.size() > kLargestBody) return 0;  // curl takes it for a failed write
    if (held_ + bytes.size() > kLargestTotal && privileged_ != &place) {
      if (privileged_ != nullptr) {
        paused_.push_back(&place);
        return CURL_WRITEFUNC_PAUSE;
      }
      privileged_ = &place;
    }
    if (place.body.empty() || place.body.back().size() >= kPiece) place.body.emplace_back();
    place.body.back().append(bytes);
    place.body_size += bytes.size();
    held_ += bytes.size();
    return bytes.size();
  }

  /// The body, which is the caller's from now on.
  std::string release(Place& place) {
    held_ -= place.body_size;
    if (privileged_ == &place) privileged_ = nullptr;
    std::erase(paused_, &place);
    std::string body;
    body.reserve(std::exchange(place.body_size, 0));
    for (; !place.body.empty(); place.body.pop_front()) body += place.body.front();
    return body;
  }

  void resume_paused() {
    // A transfer that finds no room again pauses again.
    for (Place* place : std::exchange(paused_, {})) curl_easy_pause(place->handle.get(), CURLPAUSE_CONT);
  }

 private:
  std::size_t held_ = 0;
  Place* privileged_ = nullptr;
  std::vector<Place*> paused_;
};

std::size_t receive(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& place = *static_cast<Place*>(user);
  return place.room->take(place, {bytes, size * count});
}

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

/// A part of an address as curl will understand it; empty where there is none.
std::string part_of(const std::string& url, CURLUPart part) {
  const std::unique_ptr<CURLU, UrlDeleter> parsed(curl_url());
  char* text = nullptr;
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parsed.get(), part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
    return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

bool same_name(const std::string& a, const char* b) {
  return ::strcasecmp(a.c_str(), b) == 0;
}

/// Whether the address is of this machine by its spelling; what a name server says does not count.
bool is_loopback(const std::string& url) {
  std::string host = part_of(url, CURLUPART_HOST);
  if (same_name(host, "localhost")) return true;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  in_addr four{};
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24U) == 127;
  in6_addr six{};
  return ::inet_pton(AF_INET6, host.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

// A line break in a header would begin another header.
bool fits_header(const std::string& key) {
  return std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool worth_another_try(long status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

bool broken_connection(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:  // garbage where HTTP should be
      return true;
    default:
      return false;
  }
}

void initialise_curl() {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  require(initialised == CURLE_OK, "libcurl could not be initialised");
}

}  // namespace

/// One call of run().
class HttpClient::Run {
 public:
  Run(const HttpOptions& options, const Source& source, const Sink& sink, const Accept& accept)
      : options_(options),
        redactor_(options.key),
        source_(source),
        sink_(sink),
        accept_(accept),
        requests_(options.requests_per_minute, Clock::now()),
        tokens_(options.tokens_per_minute, Clock::now()),
        multi_(curl_multi_init()) {
    require(multi_ != nullptr, "libcurl has no memory for its connections");
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(options_.in_flight));
    append(headers_, "Content-Type: application/json");
    append(headers_, "Expect:");  // no round trip to ask whether the body is welcome
    if (!options_.key.empty()) append(headers_, "Authorization: Bearer " + options_.key);
    places_.resize(static_cast<std::size_t>(options_.in_flight));
    for (Place& place : places_) {
      place.room = &room_;
      free_.push_back(&place);
    }
  }
  ~Run() {
    for (Place& place : places_) {
      if (place.sending) curl_multi_remove_handle(multi_.get(), place.handle.get());
    }
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  HttpStats operator()(const Stop& stop) {
    while (!stop()) {
      const double wait = start_what_may_start();
      if (drained_ && free_.size() == places_.size()) break;
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      if (finish_what_is_done()) continue;  // there is room again
      const int sleep_ms = static_cast<int>(std::ceil(1000 * std::min(wait, 1e-3 * kPollMs)));
      curl_multi_poll(multi_.get(), nullptr, 0, sleep_ms, nullptr);
    }
    return stats_;
  }

 private:
  /// Starts second tries that are due, then new requests. Returns the seconds until there is more to start.
  double start_what_may_start() {
    const Clock::time_point now = Clock::now();
    double wait = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < waiting_.size();) {
      Place& place = *waiting_[k];
      double left = Seconds(place.next_try - now).count();
      if (left <= 0) left = limits(now);
      if (left > 0) {
        wait = std::min(wait, left);
        ++k;
        continue;
      }
      waiting_[k] = waiting_.back();
      waiting_.pop_back();
      send(place);
    }
    while (!drained_ && !free_.empty()) {
      const double left = limits(now);
      if (left > 0) return std::min(wait, left);
      std::optional<HttpRequest> request = source_();
      if (!request) {
        drained_ = true;
        break;
      }
      Place& place = *free_.back();
      free_.pop_back();
      place.request = std::move(*request);
      if (!options_.key.empty()) require_private(place.request.url);
      place.tries = 0;
      send(place);
    }
    return wait;
  }

  double limits(Clock::time_point now) { return std::max(requests_.wait(now), tokens_.wait(now)); }

  void send(Place& place) {
    requests_.take(1);
    tokens_.take(static_cast<double>(place.request.tokens));
    if (!place.handle) {
      place.handle.reset(curl_easy_init());
      require(place.handle != nullptr, "libcurl has no memory for another request");
      set_up(place);
    }
    CURL* handle = place.handle.get();
    ++place.tries;
    curl_easy_setopt(handle, CURLOPT_URL, place.request.url.c_str());
    // A proxy of the environment would see what this machine says to itself, or not find it.
    curl_easy_setopt(handle, CURLOPT_PROXY, is_loopback(place.request.url) ? "" : nullptr);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, place.request.body.data());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(place.request.body.size()));
    const CURLMcode added = curl_multi_add_handle(multi_.get(), handle);
    require(added == CURLM_OK, fmt::format("libcurl: {}", curl_multi_strerror(added)));
    place.sending = true;
  }

  void set_up(Place& place) {
    CURL* handle = place.handle.get();
    curl_easy_setopt(handle, CURLOPT_PRIVATE, &place);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &place);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, std::lround(1000 * options_.timeout_s));
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, std::lround(1000 * options_.connect_timeout_s));
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "sllmr");
    // A redirect would carry the key to another server.
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  }

  bool finish_what_is_done() {
    bool any = false;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      void* user = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
      curl_multi_remove_handle(multi_.get(), message->easy_handle);
      Place& place = *static_cast<Place*>(user);
      place.sending = false;
      finish_try(place, code);
      any = true;
    }
    if (any) room_.resume_paused();
    return any;
  }

  void finish_try(Place& place, CURLcode code) {
    CURL* handle = place.handle.get();
    long status = 0;
    curl_off_t retry_after = 0, microseconds = 0, until_sending = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME_T, &microseconds);
    curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &until_sending);
    std::string body = redactor_.body(room_.release(place));

    std::string error;
    std::int64_t* cause = nullptr;  // why another try makes sense
    if (code == CURLE_OPERATION_TIMEDOUT) {
      error = until_sending == 0 ? fmt::format("could not connect within {} s",
                                               std::min(options_.connect_timeout_s, options_.timeout_s))
                                 : fmt::format("no answer within {} s", options_.timeout_s);
      cause = &stats_.timeouts;
    } else if (code == CURLE_WRITE_ERROR) {
      error = fmt::format("an answer of more than {} MiB", kLargestBody >> 20);
    } else if (code != CURLE_OK) {
      error = curl_easy_strerror(code);
      cause = broken_connection(code) ? &stats_.broken : nullptr;
    } else if (status < 200 || status >= 300) {
      error = fmt::format("status {}", status);
      if (worth_another_try(status)) cause = status == 429 ? &stats_.rate_limited : &stats_.server_errors;
    } else if (Verdict verdict = accept_(place.request.id, body, place.tries); !verdict.fault.empty()) {
      error = std::move(verdict.fault);
      if (verdict.worth_a_try) cause = &stats_.rejected;
    }
    if (cause != nullptr && place.tries < options_.max_tries) {
      ++*cause;
      place.next_try = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                          Seconds(delay(place.tries, static_cast<double>(retry_after))));
      waiting_.push_back(&place);
      return;
    }
    ++(error.empty() ? stats_.succeeded : stats_.failed);
    if (!error.empty()) {
      // Of a failure anything may be shown, the names in JSON too.
      body = redactor_.text(std::move(body));
      error = redactor_.text(std::move(error));
    }
    HttpReply reply{place.request.id, code == CURLE_OK ? static_cast<int>(status) : 0,
                    std::move(body),  std::move(error),
                    place.tries,      1e-6 * static_cast<double>(microseconds)};
    place.request = {};
    free_.push_back(&place);
    sink_(std::move(reply));
  }

  double delay(int tries, double retry_after) {
    const double full = std::min(options_.longest_delay_s, options_.first_delay_s * std::exp2(tries - 1));
    const double jittered = full * std::uniform_real_distribution<>(0.5, 1.0)(random_);
    return std::max(jittered, std::min(retry_after, kLongestRetryAfter));
  }

  const HttpOptions& options_;
  const Redactor redactor_;
  const Source& source_;
  const Sink& sink_;
  const Accept& accept_;
  TokenBucket requests_, tokens_;
  List headers_;
  std::unique_ptr<CURLM, MultiDeleter> multi_;
  Room room_;
  std::vector<Place> places_;
  std::vector<Place*> free_, waiting_;
  bool drained_ = false;
  std::mt19937_64 random_{std::random_device{}()};
  HttpStats stats_;
};

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)) {
  static constexpr double kDay = 86400, kHighestRate = 1e12;
  const auto seconds = [](double value, const char* what) {
    // Written so that NaN is out of range too.
    require(value >= 1e-3 && value <= kDay,
            fmt::format("{} is {} s; give 0.001 to {} seconds", what, value, kDay));
  };
  const auto rate = [](double value, const char* what) {
    require(value >= 0 && value <= kHighestRate,
            fmt::format("{} is {}; give a rate, or 0 for no limit", what, value));
  };
  require(options_.in_flight >= 1 && options_.in_flight <= 4096,
          fmt::format("{} requests in flight; give 1 to 4096", options_.in_flight));
  require(options_.max_tries >= 1, fmt::format("{} tries a request; give 1 or more", options_.max_tries));
  seconds(options_.timeout_s, "the time-out");
  seconds(options_.connect_timeout_s, "the time-out of connecting");
  seconds(options_.first_delay_s, "the delay before the second try");
  seconds(options_.longest_delay_s, "the longest delay between two tries");
  rate(options_.requests_per_minute, "the limit of requests a minute");
  rate(options_.tokens_per_minute, "the limit of tokens a minute");
  require(fits_header(options_.key),
          "the key holds blanks, line breaks or characters beyond ASCII; check the environment variable");
  initialise_curl();
}

HttpClient::~HttpClient() = default;

HttpStats HttpClient::run(const Source& source, const Sink& sink, const Accept& accept, const Stop& stop) {
  return Run(options_, source, sink, accept)(stop);
}

std::string checked_server_url(const std::string& url) {
  const auto scheme = url.find("://");
  const std::string name = url.substr(0, scheme == url.npos ? 0 : scheme);
  // The address is not repeated where it may hold a password.
  require(same_name(name, "http") || same_name(name, "https"),
          "the server's address must begin with http:// or https://, for example http://localhost:8000/v1");
  const std::string authority = url.substr(scheme + 3, url.find('/', scheme + 3) - (scheme + 3));
  require(authority.find('@') == authority.npos,
          "the server's address holds a user name or password; the key belongs into the environment");
  require(!authority.empty() && url.find_first_of("?# \t\r\n") == url.npos,
          "the server's address needs a host and may hold no query, for example http://localhost:8000/v1");
  std::string trimmed = url;
  while (trimmed.ends_with('/')) trimmed.pop_back();
  return trimmed;
}

void require_private(const std::string& url) {
  if (same_name(part_of(url, CURLUPART_SCHEME), "https") || is_loopback(url)) return;
  throw Error(
      fmt::format("the key would go to {} unencrypted; give an https:// address, or a tunnel's at "
                  "http://localhost",
                  part_of(url, CURLUPART_HOST)));
}

namespace {

/// Whether a text may be the name of an environment variable and not a key that was given in its place: by
/// convention a name has no small letters.
bool is_variable_name(std::string_view text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         text.find_first_not_of(kLetters) == text.npos;
}

}  // namespace

ServerKey server_key(const std::string& url, const std::string& variable) {
  constexpr const char* kOpenAi = "OPENAI_API_KEY";
  const std::string name = variable.empty() ? kOpenAi : variable;
  const char* value = std::getenv(name.c_str());
  const bool there = value != nullptr && *value != '\0';
  require(
      variable.empty() || there || is_variable_name(variable),
      "--key-env takes the name of an environment variable, as OPENAI_API_KEY, and no key: the environment "
      "has no variable of the name given, which is not repeated as it may be a key");
  require(variable.empty() || there,
          fmt::format("--key-env {}: the environment has no such variable, or an empty one; export it, or "
                      "leave --key-env out to send no key",
                      variable));
  if (!there || url.empty()) return {};
  checked_server_url(url);
  if (variable.empty() &&
      (!same_name(part_of(url, CURLUPART_SCHEME), "https") || part_of(url, CURLUPART_PORT) != "443" ||
       !same_name(part_of(url, CURLUPART_HOST), "api.openai.com"))) {
    return {"", fmt::format("{} is set, but not sent: by itself it goes to https://api.openai.com only; to "
                            "send it to {}, add --key-env {}",
                            kOpenAi, part_of(url, CURLUPART_HOST), kOpenAi)};
  }
  ServerKey found{value, ""};
  require(
      fits_header(found.key),
      fmt::format("the key in {} holds blanks, line breaks or characters beyond ASCII; set it again", name));
  require_private(url);
  if (found.key.size() < kShortestRedactedKey) {
    found.note = fmt::format(
        "the key in {} has fewer than {} characters: it is sent, but not removed from what the server "
        "repeats",
        name, kShortestRedactedKey);
  }
  return found;
}

}  // namespace sllmr
