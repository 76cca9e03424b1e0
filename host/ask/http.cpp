#include "host/ask/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "host/ask/redact.h"
#include "host/ask/reply_memory.h"
#include "host/ask/server_address.h"
#include "host/ask/token_bucket.h"
#include "kernels/exec/error.h"
#include "kernels/exec/not_copied.h"

namespace sllmr {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double kLongestRetryAfter = 600;
constexpr int kPollMs = 200;  // longest sleep, so that `stop` is asked in time

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

/// A request in flight, its tries one after the other. Used again for the next one.
struct InFlight {
  std::unique_ptr<CURL, EasyDeleter> handle;
  HttpRequest request;
  IncomingBody body;
  bool sending = false;
  int tries = 0;
  Clock::time_point next_try;
};

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
class HttpClient::Run : NotCopied {
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
    flights_.resize(static_cast<std::size_t>(options_.in_flight));
    for (InFlight& flight : flights_) {
      flight.body.memory = &memory_;
      free_.push_back(&flight);
    }
  }
  ~Run() {
    for (InFlight& flight : flights_) {
      if (flight.sending) curl_multi_remove_handle(multi_.get(), flight.handle.get());
    }
  }

  HttpStats operator()(const Stop& stop) {
    while (!stop()) {
      const double wait = start_what_may_start();
      if (drained_ && free_.size() == flights_.size()) break;
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      if (finish_what_is_done()) continue;  // others may start
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
      InFlight& flight = *waiting_[k];
      double left = Seconds(flight.next_try - now).count();
      if (left <= 0) left = limits(now);
      if (left > 0) {
        wait = std::min(wait, left);
        ++k;
        continue;
      }
      waiting_[k] = waiting_.back();
      waiting_.pop_back();
      send(flight);
    }
    while (!drained_ && !free_.empty()) {
      const double left = limits(now);
      if (left > 0) return std::min(wait, left);
      std::optional<HttpRequest> request = source_();
      if (!request) {
        drained_ = true;
        break;
      }
      InFlight& flight = *free_.back();
      free_.pop_back();
      flight.request = std::move(*request);
      if (!options_.key.empty()) require_private(flight.request.url);
      flight.tries = 0;
      send(flight);
    }
    return wait;
  }

  double limits(Clock::time_point now) { return std::max(requests_.wait(now), tokens_.wait(now)); }

  void send(InFlight& flight) {
    requests_.take(1);
    tokens_.take(static_cast<double>(flight.request.tokens));
    if (!flight.handle) {
      flight.handle.reset(curl_easy_init());
      require(flight.handle != nullptr, "libcurl has no memory for another request");
      set_up(flight);
    }
    CURL* handle = flight.handle.get();
    ++flight.tries;
    curl_easy_setopt(handle, CURLOPT_URL, flight.request.url.c_str());
    // A proxy of the environment would see what this machine says to itself, or not find it.
    curl_easy_setopt(handle, CURLOPT_PROXY, is_loopback(flight.request.url) ? "" : nullptr);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, flight.request.body.data());
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(flight.request.body.size()));
    const CURLMcode added = curl_multi_add_handle(multi_.get(), handle);
    require(added == CURLM_OK, fmt::format("libcurl: {}", curl_multi_strerror(added)));
    flight.sending = true;
  }

  void set_up(InFlight& flight) {
    CURL* handle = flight.handle.get();
    flight.body.transfer = handle;
    curl_easy_setopt(handle, CURLOPT_PRIVATE, &flight);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive_reply);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &flight.body);
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
      InFlight& flight = *static_cast<InFlight*>(user);
      flight.sending = false;
      finish_try(flight, code);
      any = true;
    }
    if (any) memory_.resume_paused();
    return any;
  }

  void finish_try(InFlight& flight, CURLcode code) {
    CURL* handle = flight.handle.get();
    long status = 0;
    curl_off_t retry_after = 0, microseconds = 0, until_sending = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME_T, &microseconds);
    curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &until_sending);
    std::string body = redactor_.body(memory_.release(flight.body));

    std::string error;
    std::int64_t* cause = nullptr;  // why another try makes sense
    if (code == CURLE_OPERATION_TIMEDOUT) {
      error = until_sending == 0 ? fmt::format("could not connect within {} s",
                                               std::min(options_.connect_timeout_s, options_.timeout_s))
                                 : fmt::format("no answer within {} s", options_.timeout_s);
      cause = &stats_.timeouts;
    } else if (code == CURLE_WRITE_ERROR) {
      error = fmt::format("an answer of more than {} MiB", kLargestReply >> 20);
    } else if (code != CURLE_OK) {
      error = curl_easy_strerror(code);
      cause = broken_connection(code) ? &stats_.broken : nullptr;
    } else if (status < 200 || status >= 300) {
      error = fmt::format("status {}", status);
      if (worth_another_try(status)) cause = status == 429 ? &stats_.rate_limited : &stats_.server_errors;
    } else if (Verdict verdict = accept_(flight.request.id, body, flight.tries); !verdict.fault.empty()) {
      error = std::move(verdict.fault);
      if (verdict.worth_a_try) cause = &stats_.rejected;
    }
    if (cause != nullptr && flight.tries < options_.max_tries) {
      ++*cause;
      flight.next_try = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           Seconds(delay(flight.tries, static_cast<double>(retry_after))));
      waiting_.push_back(&flight);
      return;
    }
    ++(error.empty() ? stats_.succeeded : stats_.failed);
    if (!error.empty()) {
      // Of a failure anything may be shown, the names in JSON too.
      body = redactor_.text(std::move(body));
      error = redactor_.text(std::move(error));
    }
    HttpReply reply{flight.request.id, code == CURLE_OK ? static_cast<int>(status) : 0,
                    std::move(body),   std::move(error),
                    flight.tries,      1e-6 * static_cast<double>(microseconds)};
    flight.request = {};
    free_.push_back(&flight);
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
  ReplyMemory memory_;
  std::vector<InFlight> flights_;
  std::vector<InFlight*> free_, waiting_;
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

}  // namespace sllmr
