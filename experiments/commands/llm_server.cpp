// What the commands that ask a server share: its flags, its key and its bill.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "experiments/commands/flags.h"
#include "experiments/commands/llm_command.h"
#include "host/ask/answer_cache.h"
#include "host/ask/redact.h"
#include "host/ask/server_address.h"
#include "host/base/json_text.h"

namespace sllmr {

using nlohmann::json;

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

void add_chat_flags(CLI::App& command, ScorerOptions& server, std::vector<std::string>& parameters) {
  command.add_option("--domain", server.domain, "What the prompt calls the shop (default: name of the data)")
      ->group("Prompt");
  command.add_option("--temperature", server.chat.temperature, "Sampling temperature")
      ->check(number_in(0.0, 100.0))
      ->capture_default_str()
      ->group("Prompt");
  command
      .add_option("--max-tokens", server.chat.max_tokens, "Most tokens of an answer; 0: the server decides")
      ->check(number_in(0, std::numeric_limits<int>::max()))
      ->capture_default_str()
      ->group("Prompt");
  command.add_option("--param", parameters, "More of the request, NAME=JSON; may be repeated")
      ->group("Prompt");
  command.add_option("--cache", server.cache, "Answer cache (default: OUT.cache)")->group("Run");
  command.add_option("--max-bad", server.max_bad_share, "Share of bad answers above which the run stops")
      ->check(number_in(0.0, 1.0))
      ->capture_default_str()
      ->group("Run");
  command.add_option("--price-out", server.prices.out, "Money per million tokens out")
      ->check(number_in(0.0, kMostPaid))
      ->capture_default_str()
      ->group("Budget");
}

std::map<std::string, std::string> read_parameters(const std::vector<std::string>& parameters) {
  std::map<std::string, std::string> read;
  for (const std::string& parameter : parameters) {
    const auto equals = parameter.find('=');
    // What was given is not repeated: it may be a secret.
    require(equals != parameter.npos && equals > 0, "--param: expected NAME=JSON, such as seed=1");
    const std::string name = parameter.substr(0, equals), value = parameter.substr(equals + 1);
    require(parse_json(value).has_value(),
            fmt::format("--param {0}: the value is not JSON, or nested too deep; quote texts twice: "
                        "{0}='\"text\"'",
                        name));
    read[name] = value;
  }
  return read;
}

nlohmann::json kept_parameters(const std::map<std::string, std::string>& parameters) {
  json kept = json::object();
  for (const auto& [name, text] : parameters) {
    const json value = parse_json(text).value_or(json());
    const bool plain = value.is_boolean() || value.is_null() || value.is_number();
    kept[name] = plain && text.size() < kShortestRedactedKey ? value : json("hash " + answer_key({text}));
  }
  return kept;
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

json forecast_json(const Forecast& f) {
  return {{"prompts", f.prompts},
          {"cached", f.cached},
          {"to_ask", f.prompts - f.cached},
          {"tokens_in", std::round(f.tokens_in)},
          {"tokens_out", std::round(f.tokens_out)},
          {"money", f.money},
          {"seconds", std::isfinite(f.seconds) ? json(f.seconds) : json()},
          {"tokens_per_byte", f.tokens_per_byte}};
}

void print_bill(const ScoreSummary& s) {
  fmt::print("{:>12}  answers: {} from the cache, {} bad, {} without a reply\n", s.answers, s.cached, s.bad,
             s.failed);
  fmt::print("{:>12}  answers cut off by the limit of tokens, {} stopped by a filter, {} refused\n",
             s.cut_off, s.filtered, s.refused);
  fmt::print("{:>12}  second tries: {} rate limit, {} server error, {} time-out, {} broken, {} malformed\n",
             s.http.rate_limited + s.http.server_errors + s.http.timeouts + s.http.broken + s.http.rejected,
             s.http.rate_limited, s.http.server_errors, s.http.timeouts, s.http.broken, s.http.rejected);
  fmt::print("{:>12}  tokens in, {} out; of this run {} and {}\n", s.tokens_in, s.tokens_out,
             s.paid_tokens_in, s.paid_tokens_out);
  fmt::print("{:>12.4f}  money; of this run {:.4f}, in {:.1f} s\n", s.money, s.paid_money, s.seconds);
  for (const std::string& example : s.examples) fmt::print("bad answer of {}\n", example);
}

void add_budget_flags(CLI::App& command, WholeBudget& budget) {
  const auto add = [&](const char* name, double& value, const char* doc) {
    command.add_option(name, value, doc)
        ->check(number_in(0.0, kMostPaid))
        ->capture_default_str()
        ->group("Budget");
  };
  add("--budget-tokens", budget.tokens, "Most tokens, by estimate; 0: no limit");
  add("--budget-money", budget.money, "Most money at this price; 0: no limit");
}

void require_budget(const WholeBudget& budget, const Forecast& forecast, const std::string& what) {
  const auto check = [&](double needed, double most, const char* flag) {
    require(
        most == 0 || needed <= most,
        fmt::format("what is not in the cache needs {:.4g}, by estimate, more than {} {:.4g}; {}: raise it",
                    needed, flag, most, what));
  };
  check(forecast.tokens_in + forecast.tokens_out, budget.tokens, "--budget-tokens");
  check(forecast.money, budget.money, "--budget-money");
}

}  // namespace sllmr
