#include "host/ask/http.h"

#include <gmock/gmock.h>

#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "host/ask/server_address.h"
#include "tests/support/errors.h"
#include "tests/support/fake_llm_server.h"

namespace sllmr {
namespace {

using test::FakeLlmServer;
using test::FakeReply;
using testing::HasSubstr;
using testing::Not;

HttpOptions quick() {
  HttpOptions options;
  options.first_delay_s = 0.005;
  options.longest_delay_s = 0.05;
  options.timeout_s = 5;
  return options;
}

struct Sent {
  HttpStats stats;
  std::vector<HttpReply> replies;
};

/// Sends `count` requests with the bodies "0", "1", ...
Sent send(const FakeLlmServer& server, const HttpOptions& options, int count, bool keep = true) {
  HttpClient client(options);
  Sent sent;
  int next = 0;
  const auto source = [&]() -> std::optional<HttpRequest> {
    if (next == count) return std::nullopt;
    HttpRequest request{static_cast<std::uint64_t>(next), server.url(), std::to_string(next), 10};
    ++next;
    return request;
  };
  sent.stats = client.run(
      source,
      [&](HttpReply reply) {
        if (keep) sent.replies.push_back(std::move(reply));
      },
      [](std::uint64_t, const std::string& body, int) {
        const bool final = body.find("final garbage") != body.npos;
        return Verdict{body.find("garbage") == body.npos ? "" : "garbage", !final};
      },
      [] { return false; });
  return sent;
}

FakeReply status(int code, const std::string& headers = "", const std::string& body = "{}") {
  return {FakeReply::Kind::answer, code, headers, body, 0};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(HttpClient, EachRequestGetsItsOwnReplyWhateverTheOrder) {
  FakeLlmServer server([](const std::string&, const std::string& body, int) {
    FakeReply reply = status(200, "", "answer " + body);
    reply.delay_ms = static_cast<int>((std::stoul(body) * 7) % 20);
    return reply;
  });
  HttpOptions options = quick();
  options.in_flight = 32;
  const Sent sent = send(server, options, 500);
  ASSERT_EQ(sent.replies.size(), 500U);
  std::set<std::uint64_t> ids;
  bool overtaken = false;
  for (const HttpReply& reply : sent.replies) {
    EXPECT_EQ(reply.error, "");
    EXPECT_EQ(reply.body, "answer " + std::to_string(reply.id));
    overtaken = overtaken || (!ids.empty() && reply.id < *ids.rbegin());
    ids.insert(reply.id);
  }
  EXPECT_EQ(ids.size(), 500U);
  EXPECT_TRUE(overtaken);
  EXPECT_EQ(server.requests(), 500);
}

TEST(HttpClient, FaultsOfServerAndNetworkAreTriedAgain) {
  const FakeReply faults[] = {status(429),
                              status(500),
                              status(503),
                              status(408),
                              status(200, "", "garbage"),
                              {FakeReply::Kind::half, 200, "", "{\"half\": \"an answer\"}", 0},
                              {FakeReply::Kind::drop, 200, "", "", 0}};
  for (const FakeReply& fault : faults) {
    FakeLlmServer server([&](const std::string&, const std::string&, int seen) {
      return seen < 2 ? fault : status(200, "", "fine");
    });
    const Sent sent = send(server, quick(), 5);
    ASSERT_EQ(sent.replies.size(), 5U);
    for (const HttpReply& reply : sent.replies) {
      EXPECT_EQ(reply.error, "") << fault.status;
      EXPECT_EQ(reply.body, "fine");
      EXPECT_EQ(reply.tries, 3);
    }
    const HttpStats& s = sent.stats;
    EXPECT_EQ(s.rate_limited + s.server_errors + s.broken + s.rejected, 10) << fault.status;
  }
}

TEST(HttpClient, AHangingServerTimesOut) {
  FakeLlmServer server([](const std::string&, const std::string&, int seen) {
    return seen == 0 ? FakeReply{FakeReply::Kind::hang, 200, "", "", 0} : status(200);
  });
  HttpOptions options = quick();
  options.timeout_s = 0.1;
  const Sent sent = send(server, options, 3);
  EXPECT_EQ(sent.stats.succeeded, 3);
  EXPECT_EQ(sent.stats.timeouts, 3);
}

TEST(HttpClient, WhatCannotSucceedIsNotTriedAgain) {
  for (const int code : {400, 401, 404, 422, 302}) {
    FakeLlmServer server([=](const std::string&, const std::string&, int) {
      return status(code, "Location: http://127.0.0.1:1/\r\n");
    });
    const Sent sent = send(server, quick(), 1);
    EXPECT_EQ(sent.replies[0].status, code);
    EXPECT_EQ(sent.replies[0].tries, 1);
    EXPECT_NE(sent.replies[0].error, "");
    EXPECT_EQ(server.requests(), 1) << "a redirect is not followed";
  }
  FakeLlmServer server(
      [](const std::string&, const std::string&, int) { return status(200, "", "final garbage"); });
  const Sent sent = send(server, quick(), 1);
  EXPECT_EQ(sent.replies[0].tries, 1) << "the verdict says that there is no point";
  EXPECT_EQ(sent.replies[0].error, "garbage");
  EXPECT_EQ(sent.replies[0].status, 200);
}

TEST(HttpClient, GivesUpAfterTheLastTryAndNamesTheReason) {
  FakeLlmServer server([](const std::string&, const std::string&, int) { return status(500); });
  HttpOptions options = quick();
  options.max_tries = 3;
  const Sent sent = send(server, options, 2);
  EXPECT_EQ(sent.stats.failed, 2);
  EXPECT_EQ(sent.replies[0].error, "status 500");
  EXPECT_EQ(server.requests(), 6);
}

TEST(HttpClient, NobodyThere) {
  std::string url;
  {
    const FakeLlmServer server([](const std::string&, const std::string&, int) { return status(200); });
    url = server.url();
  }
  HttpOptions options = quick();
  options.max_tries = 2;
  HttpClient client(options);
  bool asked = false;
  HttpReply reply;
  client.run(
      [&]() -> std::optional<HttpRequest> {
        if (std::exchange(asked, true)) return std::nullopt;
        return HttpRequest{1, url, "{}", 0};
      },
      [&](HttpReply r) { reply = std::move(r); },
      [](std::uint64_t, const std::string&, int) { return Verdict(); }, [] { return false; });
  EXPECT_EQ(reply.status, 0);
  EXPECT_EQ(reply.tries, 2);
  EXPECT_THAT(reply.error, HasSubstr("connect"));
}

TEST(HttpClient, RetryAfterIsWaitedFor) {
  FakeLlmServer server([](const std::string&, const std::string&, int seen) {
    return seen == 0 ? status(429, "Retry-After: 1\r\n") : status(200);
  });
  const auto start = std::chrono::steady_clock::now();
  const Sent sent = send(server, quick(), 4);
  EXPECT_EQ(sent.stats.succeeded, 4);
  EXPECT_EQ(sent.stats.rate_limited, 4);
  EXPECT_GE(seconds_since(start), 1.0);
}

TEST(HttpClient, RatesAreKept) {
  FakeLlmServer server([](const std::string&, const std::string&, int) { return status(200); });
  HttpOptions options = quick();
  options.requests_per_minute = 60 * 100;
  auto start = std::chrono::steady_clock::now();
  send(server, options, 150);  // a second's burst, then 100 a second
  EXPECT_GE(seconds_since(start), 0.45);
  options = quick();
  options.tokens_per_minute = 60 * 1000;  // each request counts for 10
  start = std::chrono::steady_clock::now();
  send(server, options, 150);
  EXPECT_GE(seconds_since(start), 0.45);
}

TEST(HttpClient, TheKeyIsSentAndNeverComesBack) {
  FakeLlmServer server([](const std::string& head, const std::string&, int) {
    const auto at = head.find("Authorization: Bearer ");
    const std::string line = at == head.npos ? "no key" : head.substr(at, head.find("\r\n", at) - at);
    return status(head.find("sk-secret") == head.npos ? 401 : 400, "", "you sent " + line);
  });
  HttpOptions options = quick();
  options.key = "sk-secret-123";
  const Sent sent = send(server, options, 1);
  EXPECT_EQ(sent.replies[0].status, 400);
  EXPECT_EQ(sent.replies[0].body, "you sent Authorization: Bearer [key]");
  options.key = "sk-secret\r\nX: y";
  EXPECT_THAT(error_of([&] { const HttpClient client(options); }),
              testing::AllOf(HasSubstr("key"), Not(HasSubstr("secret"))));
}

TEST(HttpClient, TheKeyNeverComesBackHoweverItIsSpelled) {
  // As JSON may escape it, as a URL does, cut, and as a name.
  const std::vector<std::pair<std::string, std::string>> spellings = {
      {R"({"error":"key sk-a\/b\u002dsecret-123"})", R"({"error":"key [key]"})"},
      {R"({"error":"key \u0073k-a\/b-secret-12\u0033"})", R"({"error":"key [key]"})"},
      {R"({"error":"key sk-a%2Fb-secret-123"})", R"({"error":"key [key]"})"},
      {R"({"error":"key sk-a\/b-sec..."})", R"({"error":"key [key]..."})"},
      {R"({"sk-a/b-secret-123":1})", R"({"[key]":1})"},
      {"<p>sk-a&#x2F;b-secret-123</p>", "<p>[key]</p>"}};
  for (const int code : {200, 400}) {
    FakeLlmServer server([&](const std::string&, const std::string& body, int) {
      return status(code, "", spellings[std::stoul(body)].first);
    });
    HttpOptions options = quick();
    options.key = "sk-a/b-secret-123";
    const Sent sent = send(server, options, static_cast<int>(spellings.size()));
    ASSERT_EQ(sent.replies.size(), spellings.size());
    for (const HttpReply& reply : sent.replies) {
      // The names of an answer are its protocol's, and nobody shows them.
      if (code == 200 && reply.id == 4) continue;
      EXPECT_EQ(reply.body, spellings[reply.id].second);
    }
  }
}

TEST(HttpClient, AFaultThatTheCallerFindsHoldsNoKey) {
  FakeLlmServer server([](const std::string&, const std::string&, int) {
    return status(200, "", R"({"parts":["sk-se","cret-12","3"]})");
  });
  HttpOptions options = quick();
  options.key = "sk-secret-123";
  HttpClient client(options);
  bool asked = false;
  HttpReply reply;
  client.run(
      [&]() -> std::optional<HttpRequest> {
        if (std::exchange(asked, true)) return std::nullopt;
        return HttpRequest{1, server.url(), "{}", 0};
      },
      [&](HttpReply r) { reply = std::move(r); },
      [](std::uint64_t, const std::string&, int) {
        return Verdict{"joined: sk-secret-123", false};
      },
      [] { return false; });
  EXPECT_EQ(reply.error, "joined: [key]");
}

TEST(HttpClient, AKeyGoesOverPlainHttpToThisMachineOnly) {
  for (const char* url :
       {"http://localhost:1/v1", "http://LOCALHOST/v1", "http://127.0.0.1/v1", "http://127.8.9.1:80",
        "http://[::1]:8000/v1", "https://example.org/v1", "HTTPS://10.0.0.1"}) {
    EXPECT_EQ(error_of([&] { require_private(url); }), "no error") << url;
  }
  for (const char* url :
       {"http://example.org/v1", "http://127.0.0.1.example.org/v1", "http://localhost.example.org",
        "http://128.0.0.1", "http://0.0.0.0:80", "http://[::2]/v1", "http://10.0.0.1/localhost",
        "http://127.0.0.1@example.org/", "nonsense"}) {
    EXPECT_THAT(error_of([&] { require_private(url); }), HasSubstr("https://")) << url;
  }
  HttpOptions options = quick();
  options.key = "sk-secret-123";
  HttpClient client(options);
  const auto source = []() -> std::optional<HttpRequest> {
    return HttpRequest{1, "http://203.0.113.1/v1", "{}", 0};
  };
  EXPECT_THAT(error_of([&] {
                client.run(
                    source, [](const HttpReply&) {},
                    [](std::uint64_t, const std::string&, int) { return Verdict{}; }, [] { return false; });
              }),
              testing::AllOf(HasSubstr("unencrypted"), Not(HasSubstr("secret"))));
}

TEST(HttpClient, LoopbackGoesPastProxies) {
  FakeLlmServer server([](const std::string&, const std::string&, int) { return status(200); });
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  const Sent sent = send(server, quick(), 1);
  ::unsetenv("http_proxy");
  EXPECT_EQ(sent.stats.succeeded, 1);
}

TEST(HttpClient, AConnectionThatNeverStandsIsCalledOne) {
  // Nobody accepts, and the queue of one is full: the kernel drops what comes next.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener, any, size), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  ASSERT_EQ(::getsockname(listener, any, &size), 0);
  std::vector<int> queue;
  for (int k = 0; k < 3; ++k) {
    queue.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::connect(queue.back(), any, size);
  }
  HttpOptions options = quick();
  options.connect_timeout_s = 0.1;
  options.max_tries = 1;
  HttpClient client(options);
  bool asked = false;
  HttpReply reply;
  const HttpStats stats = client.run(
      [&]() -> std::optional<HttpRequest> {
        if (std::exchange(asked, true)) return std::nullopt;
        return HttpRequest{1, "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), "{}", 0};
      },
      [&](HttpReply r) { reply = std::move(r); },
      [](std::uint64_t, const std::string&, int) { return Verdict{}; }, [] { return false; });
  for (const int socket : queue) ::close(socket);
  ::close(listener);
  EXPECT_EQ(reply.error, "could not connect within 0.1 s");
  EXPECT_EQ(stats.failed, 1);
}

TEST(HttpClient, AReplyThatIsTooLargeFailsAtOnce) {
  FakeLlmServer server([](const std::string&, const std::string&, int) {
    return status(200, "", std::string((std::size_t{16} << 20) + 1, 'x'));
  });
  const Sent sent = send(server, quick(), 1);
  EXPECT_EQ(sent.replies.at(0).error, "an answer of more than 16 MiB");
  EXPECT_EQ(server.requests(), 1);
}

TEST(HttpClient, NumbersOutOfRangeAreRefused) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(),
                   kInf = std::numeric_limits<double>::infinity();
  for (double HttpOptions::*seconds : {&HttpOptions::timeout_s, &HttpOptions::connect_timeout_s,
                                       &HttpOptions::first_delay_s, &HttpOptions::longest_delay_s}) {
    for (const double bad : {kNan, kInf, -1.0, 0.0, 0.0001, 1e30}) {
      HttpOptions options;
      options.*seconds = bad;
      EXPECT_THAT(error_of([&] { const HttpClient client(options); }), HasSubstr("0.001 to 86400 seconds"))
          << bad;
    }
  }
  for (double HttpOptions::*rate : {&HttpOptions::requests_per_minute, &HttpOptions::tokens_per_minute}) {
    for (const double bad : {kNan, kInf, -1.0, 1e300}) {
      HttpOptions options;
      options.*rate = bad;
      EXPECT_THAT(error_of([&] { const HttpClient client(options); }), HasSubstr("0 for no limit")) << bad;
    }
  }
}

/// Sets an environment variable for the time of a test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  ~Variable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(ServerKey, OpenAisKeyGoesByItselfToOpenAiOnly) {
  const Variable set("OPENAI_API_KEY", "sk-openai-0123456789");
  for (const char* url : {"https://api.openai.com", "https://api.openai.com/v1",
                          "https://api.openai.com:443/v1/", "HTTPS://API.OpenAI.com/v1"}) {
    const ServerKey found = server_key(url, "");
    EXPECT_EQ(found.key, "sk-openai-0123456789") << url;
    EXPECT_EQ(found.note, "");
  }
  for (const char* url :
       {"https://api.openai.com.example.org/v1", "https://example.org/api.openai.com/v1",
        "https://openai.com/v1", "https://eu.api.openai.com/v1", "https://api.openai.com:8443/v1",
        "http://api.openai.com/v1", "https://xapi.openai.com/v1", "http://localhost:8000/v1",
        "http://example.org/v1"}) {
    const ServerKey found = server_key(url, "");
    EXPECT_EQ(found.key, "") << url;
    EXPECT_THAT(found.note,
                testing::AllOf(HasSubstr("OPENAI_API_KEY is set, but not sent"),
                               HasSubstr("--key-env OPENAI_API_KEY"), Not(HasSubstr("sk-openai"))))
        << url;
  }
  EXPECT_EQ(server_key("https://example.org/v1", "OPENAI_API_KEY").key, "sk-openai-0123456789");
  EXPECT_THAT(error_of([] { server_key("https://api.openai.com@example.org/v1", ""); }),
              HasSubstr("password"));
  const Variable unset("OPENAI_API_KEY", nullptr);
  EXPECT_EQ(server_key("https://api.openai.com/v1", "").note, "");
}

TEST(ServerKey, ANamedVariableMustBeThere) {
  const Variable unset("SLLMR_NO_KEY", nullptr);
  EXPECT_THAT(error_of([] { server_key("https://example.org", "SLLMR_NO_KEY"); }),
              HasSubstr("--key-env SLLMR_NO_KEY"));
  EXPECT_THAT(error_of([] { server_key("", "SLLMR_NO_KEY"); }), HasSubstr("--key-env SLLMR_NO_KEY"));
  const Variable empty("SLLMR_NO_KEY", "");
  EXPECT_THAT(error_of([] { server_key("https://example.org", "SLLMR_NO_KEY"); }),
              HasSubstr("--key-env SLLMR_NO_KEY"));
}

TEST(ServerKey, AKeyInTheNamesPlaceIsNotRepeated) {
  for (const char* key : {"sk-abcdefgh12345", "gsk_abcdefgh12345", "1ABCDEFGH", "ABC DEFGH"}) {
    EXPECT_THAT(error_of([&] { server_key("https://example.org", key); }),
                testing::AllOf(HasSubstr("--key-env takes the name"), Not(HasSubstr(key))));
  }
}

TEST(ServerKey, BadKeysAreRefusedAndShortOnesNoted) {
  for (const char* bad : {"sk-secret\r\nX: y", "sk secret",
                          "sk-s\xC3\xA9"
                          "cret",
                          "secret\x7F"}) {
    const Variable set("SLLMR_A_KEY", bad);
    EXPECT_THAT(error_of([] { server_key("https://example.org", "SLLMR_A_KEY"); }),
                testing::AllOf(HasSubstr("SLLMR_A_KEY"), Not(HasSubstr("cret"))));
  }
  const Variable set("SLLMR_A_KEY", "none");
  const ServerKey found = server_key("http://localhost:8000", "SLLMR_A_KEY");
  EXPECT_EQ(found.key, "none");
  EXPECT_THAT(found.note, HasSubstr("fewer than 8 characters"));
  EXPECT_THAT(error_of([] { server_key("http://example.org", "SLLMR_A_KEY"); }), HasSubstr("unencrypted"));
}

TEST(HttpClient, AHundredThousandRequestsTakeLittleTimeAndNoMemory) {
  FakeLlmServer server([](const std::string&, const std::string&, int) {
    return status(200, "", test::chat_completion("{}"));
  });
  server.keep_no_history();
  HttpOptions options = quick();
  options.in_flight = 64;
  const auto processor_seconds = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
  };
  const auto resident = [] {
    std::ifstream file("/proc/self/statm");
    std::int64_t total = 0, pages = 0;
    file >> total >> pages;
    return pages * 4096;
  };
#ifdef __SANITIZE_ADDRESS__
  constexpr bool kSanitized = true;  // freed memory stays for a while
#else
  constexpr bool kSanitized = false;
#endif
  constexpr int kCount = kSanitized ? 10000 : 100000;
  send(server, options, 5000, false);
  const double before = processor_seconds();
  const std::int64_t memory = resident();
  const Sent sent = send(server, options, kCount, false);
  // Of the client and the server together, so that it holds on a busy machine too.
  const double rate = kCount / (processor_seconds() - before);
  RecordProperty("requests_per_cpu_second", static_cast<int>(rate));
  EXPECT_EQ(sent.stats.succeeded, kCount);
  EXPECT_GE(rate, 2000);
  if (!kSanitized) {
    EXPECT_LT(resident() - memory, 4 << 20) << "memory grows with the number of requests";
  }
}

TEST(HttpClient, AddressesWithCredentialsAreRefused) {
  EXPECT_EQ(checked_server_url("http://localhost:8000/v1/"), "http://localhost:8000/v1");
  EXPECT_EQ(checked_server_url("HTTP://localhost:8000/v1/"), "HTTP://localhost:8000/v1");
  for (const char* bad : {"localhost:8000", "ftp://x/v1", "https://", "HTTP://x/v1?key=1", ""}) {
    EXPECT_NE(error_of([&] { checked_server_url(bad); }), "no error") << bad;
  }
  EXPECT_THAT(error_of([] { checked_server_url("https://me:sesame@host/v1"); }), Not(HasSubstr("sesame")));
}

}  // namespace
}  // namespace sllmr
