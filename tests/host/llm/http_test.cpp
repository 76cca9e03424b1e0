#include "host/llm/http.h"

#include <gmock/gmock.h>

#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <set>
#include <string>

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
  for (const char* bad : {"localhost:8000", "ftp://x/v1", "https://", "http://x/v1?key=1", ""}) {
    EXPECT_NE(error_of([&] { checked_server_url(bad); }), "no error") << bad;
  }
  EXPECT_THAT(error_of([] { checked_server_url("https://me:sesame@host/v1"); }), Not(HasSubstr("sesame")));
}

}  // namespace
}  // namespace sllmr
