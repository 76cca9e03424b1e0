// What the commands that ask a server share: its flags, its key and its bill.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

#include "experiments/commands/flags.h"
#include "experiments/commands/llm_command.h"
#include "host/ask/answer_cache.h"
#include "host/ask/server_address.h"

namespace sllmr {

void add_server_flags(CLI::App& command, ScorerOptions& server, std::string& key_variable) {
  constexpr double kDay = 86400;  // in seconds
  const auto add = [&](const char* name, auto& value, const std::string& doc) {
    return command.add_option(name, value, doc)->capture_default_str();
  };
  const auto number = [&](const char* name, auto& value, const char* doc, auto low, auto high) {
    return add(name, value, doc)->check(number_in(low, high));
  };
  add("--url", server.url, "Address of the server, up to and with /v1")->group("Server");
  add("--server", server.server, "Name of the server in the answer cache (default: its address)")
      ->group("Server");
  add("--model", server.chat.model, "Model, as the server calls it")->group("Server");
  add("--key-env", key_variable,
      "Environment variable that holds the key (default: OPENAI_API_KEY, and that for https://api.openai.com "
      "alone)")
      ->group("Server");
  number("--in-flight", server.http.in_flight, "Requests under way at a time", 1, 4096)->group("Server");
  number("--requests-per-minute", server.http.requests_per_minute, "0: no limit", 0.0, kMostPaid)
      ->group("Server");
  number("--tokens-per-minute", server.http.tokens_per_minute, "0: no limit", 0.0, kMostPaid)
      ->group("Server");
  number("--timeout", server.http.timeout_s, "Seconds until a try counts as failed", 0.001, kDay)
      ->group("Server");
  number("--tries", server.http.max_tries, "Tries a request", 1, 1000)->group("Server");
  number("--retry-delay", server.http.first_delay_s, "Seconds before the second try; doubles with each",
         0.001, kDay)
      ->group("Server");
  number("--price-in", server.prices.in, "Money per million tokens in", 0.0, kMostPaid)->group("Budget");
}

void take_key(ScorerOptions& server, const std::string& key_variable) {
  ServerKey key = server_key(server.url, key_variable);
  if (!key.note.empty()) fmt::print(stderr, "note: {}\n", key.note);
  server.http.key = std::move(key.key);
}

void print_forecast(const Forecast& f, const std::string& unit, const std::string& cache) {
  fmt::print("{:>12}  {}, {} of them in the cache\n", f.prompts, unit, f.cached);
  fmt::print("{:>12.0f}  tokens in and {:.0f} out to pay (estimate, {:.2f} tokens a byte)\n", f.tokens_in,
             f.tokens_out, f.tokens_per_byte);
  fmt::print("{:>12.4f}  money\n", f.money);
  if (std::isfinite(f.seconds)) fmt::print("{:>12.0f}  seconds\n", f.seconds);
  std::fflush(stdout);
  if (const auto old = AnswerCache(cache).without_server(); old > 0) {
    fmt::print(
        stderr,
        "note: {} answers in {} are of an older version, which did not keep their server; they are not "
        "used. To use them: sllmr llm export CACHE --out FILE, and sllmr llm import FILE --cache CACHE "
        "--server ADDRESS\n",
        old, cache);
  }
}

}  // namespace sllmr
